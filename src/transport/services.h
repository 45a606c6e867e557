/* services: what a transport is handed at start: the parts of the process it may use.
 *
 * Made by main.c, constant while transports run; every pointer is borrowed and any-thread. */
#ifndef PS_TRANSPORT_SERVICES_H
#define PS_TRANSPORT_SERVICES_H

struct ps_actors;
struct ps_chains;
struct ps_config;
struct ps_disk_budget;
struct ps_identity_cache;
struct ps_metrics;
struct ps_reader_pool;
struct ps_script_cache;
struct ps_session_registry;
struct ps_store;
struct ps_writer;

struct ps_services {
    const struct ps_config *config;
    struct ps_metrics *metrics;
    struct ps_actors *actors;
    struct ps_writer *writer;
    struct ps_reader_pool *readers;
    struct ps_identity_cache *identities;
    struct ps_session_registry *sessions; /* revoked tokens */
    struct ps_chains *chains;
    struct ps_script_cache *scripts;
    struct ps_store *store;      /* sealed history; NULL: there is none */
    struct ps_disk_budget *disk; /* NULL: nobody watches the disk */
    const char *jwt_key;         /* the installation's signing key */
    unsigned jwt_key_len;
};

#endif
