#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "actors/actors_start.h"
#include "core/auth/session_registry.h"
#include "core/clock.h"
#include "core/entity/identity_cache.h"
#include "core/entity/install.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/storage/disk_budget.h"
#include "core/storage/migrations.h"
#include "core/storage/reader.h"
#include "core/storage/writer.h"
#include "core/telemetry/keeper.h"
#include "core/telemetry/store.h"
#include "core/thread.h"
#include "core/upkeep/plain_file.h"
#include "core/upkeep/restore.h"
#include "rules/chains.h"
#include "rules/lua/script.h"
#include "transport/coap/coap.h"
#include "transport/front/front.h"
#include "transport/http/http.h"
#include "transport/mqtt/mqtt.h"
#include "transport/rest/rest.h"
#include "transport/services.h"
#include "transport/ws/ws.h"

enum {
    PATH_SIZE = PS_CONFIG_TEXT_SIZE + 32,
    IDENTITIES_MAX = 100000,
    REVOCATIONS_MAX = 1000000,
    OTHER_LANES = 8,
};

struct server {
    const struct ps_server_options *options;
    struct ps_config config;
    char db_path[PATH_SIZE];
    int lock_fd, signal_fd;
    int64_t started_ns;
    unsigned shards;
    char jwt_key[PS_INSTALL_JWT_KEY_SIZE];

    struct ps_metrics *metrics;
    struct ps_disk_budget *disk;
    struct ps_store *store;
    struct ps_writer *writer;
    struct ps_keeper *keeper;
    _Atomic int64_t sealed_seq; /* the keeper says, the shards look */
    struct ps_reader_pool *readers;
    struct ps_identity_cache *identities;
    struct ps_session_registry *sessions;
    struct ps_script_cache *scripts;
    struct ps_chains *chains;
    struct ps_actors *actors;
    bool actors_run;
    struct ps_services services;
    struct ps_mqtt *mqtt;
    struct ps_rest *rest;
    struct ps_http *http;
    struct ps_coap *coap;
    struct ps_ws *ws;
    struct ps_front *front;
};

static enum ps_status fail(enum ps_status st, const char *what, const char *why)
{
    struct ps_log_line line;
    if (ps_log_begin(&line, PS_LOG_ERROR, "server", "start_failed")) {
        ps_log_text(&line, "step", what);
        ps_log_text(&line, "status", ps_status_text(st));
        ps_log_text(&line, "error", why);
        ps_log_end(&line);
    }
    return st;
}

void ps_server_configure_log(const struct ps_config *config)
{
    struct ps_text why;
    ps_log_configure((enum ps_log_level)config->log_level, (enum ps_log_format)config->log_format);
    if (ps_log_set_levels(config->log_levels, &why) != PS_OK)
        ps_log_event(PS_LOG_ERROR, "server", "log_levels_refused", "error", why.data);
}

/* ---- process -----------------------------------------------------------------------------------
 */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum ps_status take_signals(struct server *server)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return PS_EIO;
    server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return server->signal_fd < 0 ? PS_EIO : PS_OK;
}

/* One process a directory: two would commit over each other. */
static enum ps_status open_directory(struct server *server)
{
    const char *dir = server->config.storage_dir;
    char path[PATH_SIZE];
    struct ps_text why = { "" };
    enum ps_status st = ps_folder_make(dir, &why);
    if (st != PS_OK)
        return fail(st, dir, why.data);
    snprintf(path, sizeof path, "%s/lock", dir);
    server->lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (server->lock_fd < 0)
        return fail(PS_EIO, path, strerror(errno));
    if (flock(server->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return fail(PS_EDENIED, path, "another process uses this data directory");
    snprintf(path, sizeof path, "%s/" PS_RESTORE_MARKER, dir);
    if (access(path, F_OK) == 0)
        return fail(PS_ESTORE, path, "a restore was interrupted: empty the directory, try again");
    snprintf(server->db_path, sizeof server->db_path, "%s/pacificsoft.db", dir);
    return PS_OK;
}

/* ---- core --------------------------------------------------------------------------------------
 */

static void show_password(const char *password)
{
    if (!password[0])
        return;
    printf("First start: the system administrator is %s, password %s\n", PS_INSTALL_SYSADMIN_EMAIL,
           password);
    fflush(stdout);
}

static enum ps_status prepare_database(struct server *server, struct ps_db *db)
{
    struct ps_text why = { "" };
    char password[PS_INSTALL_PASSWORD_SIZE] = "";
    enum ps_status st = ps_db_migrate(db, server->db_path, &why);
    if (st != PS_OK)
        return fail(st, "migrate", why.data);
    st = ps_install(db, server->options->demo, password);
    if (st == PS_OK)
        st = ps_install_jwt_key(db, (unsigned char *)server->jwt_key);
    if (st == PS_OK)
        st = ps_session_registry_load(server->sessions, db, ps_clock_now_ms());
    if (st != PS_OK)
        return fail(st, "install", ps_db_error(db));
    show_password(password);
    st = ps_rest_load_chains(db, server->scripts, server->chains);
    return st == PS_OK ? PS_OK : fail(st, "load_chains", ps_db_error(db));
}

/* Before anything is opened: a full disk gets a little room first. */
static enum ps_status open_disk_budget(struct server *server)
{
    const struct ps_config *config = &server->config;
    struct ps_disk_budget_settings settings = { .dir = config->storage_dir,
                                                .reserve_bytes = config->storage_reserve_bytes,
                                                .shed_oldest = config->storage_shed_oldest,
                                                .metrics = server->metrics,
                                                .metrics_lane = server->shards };
    return ps_disk_budget_open(&settings, &server->disk);
}

static enum ps_status open_store(struct server *server)
{
    struct ps_text why = { "" };
    struct ps_store_settings settings = { .dir = server->config.storage_dir,
                                          .metrics = server->metrics,
                                          .metrics_lane = server->shards };
    enum ps_status st = ps_store_open(&settings, &server->store, &why);
    return st == PS_OK ? PS_OK : fail(st, "open_store", why.data);
}

static enum ps_status start_core(struct server *server)
{
    const struct ps_config *config = &server->config;
    enum ps_status st = ps_metrics_create(server->shards + OTHER_LANES, &server->metrics);
    if (st == PS_OK)
        st = open_disk_budget(server);
    if (st == PS_OK)
        st = ps_script_cache_create(&server->scripts);
    if (st == PS_OK)
        st = ps_chains_create(&server->chains);
    if (st == PS_OK)
        st = ps_session_registry_create(REVOCATIONS_MAX, config->auth_refresh_token_s * 1000,
                                        &server->sessions);
    if (st != PS_OK)
        return fail(st, "core", "");
    struct ps_text why = { "" };
    struct ps_db *db;
    st = ps_db_open(server->db_path, PS_DB_WRITER, &db, &why);
    if (st != PS_OK)
        return fail(st, "open_database", why.data);
    st = prepare_database(server, db);
    ps_db_close(db);
    if (st == PS_OK)
        st = open_store(server);
    if (st != PS_OK)
        return st;
    struct ps_writer_settings writer = { .path = server->db_path,
                                         .checkpoint_bytes =
                                             (uint64_t)config->storage_checkpoint_bytes,
                                         .budget = server->disk,
                                         .metrics = server->metrics,
                                         .metrics_lane = server->shards };
    st = ps_writer_start(&writer, &server->writer);
    if (st == PS_OK)
        st = ps_reader_pool_create(server->db_path, (unsigned)config->storage_reader_threads,
                                   (unsigned)config->storage_reader_jobs_max, &server->readers);
    if (st == PS_OK)
        st = ps_identity_cache_create(server->db_path, IDENTITIES_MAX, &server->identities);
    return st == PS_OK ? PS_OK : fail(st, "core", "");
}

/* ---- actors ------------------------------------------------------------------------------------
 */

static struct ps_lua_limits lua_limits(const struct ps_config *config)
{
    struct ps_lua_limits limits = PS_LUA_LIMITS_DEFAULT;
    limits.instructions = config->lua_instructions_max;
    limits.wall_ms = config->lua_wall_ms_max;
    limits.call_memory_bytes = (size_t)config->lua_call_bytes_max;
    limits.state_memory_bytes = (size_t)config->lua_state_bytes_max;
    return limits;
}

static struct ps_run_limits run_limits(const struct ps_config *config)
{
    struct ps_run_limits limits = PS_RUN_LIMITS_DEFAULT;
    limits.executions_max = (uint32_t)config->rules_executions_max;
    limits.deadline_ms = config->rules_message_timeout_ms;
    return limits;
}

static void log_load(const struct ps_load_result *result)
{
    struct ps_log_line line;
    enum ps_log_level level = result->damaged_rows ? PS_LOG_ERROR : PS_LOG_INFO;
    if (!ps_log_begin(&line, level, "storage", "telemetry_loaded"))
        return;
    ps_log_int(&line, "series", (int64_t)result->series);
    ps_log_int(&line, "points", (int64_t)result->points);
    ps_log_int(&line, "damaged_rows", (int64_t)result->damaged_rows);
    ps_log_end(&line);
}

static enum ps_status load_telemetry(struct server *server)
{
    struct ps_text why = { "" };
    struct ps_load_result result;
    struct ps_db *db;
    enum ps_status st = ps_db_open(server->db_path, PS_DB_READER, &db, &why);
    if (st != PS_OK)
        return fail(st, "open_database", why.data);
    st = ps_actors_load(server->actors, db, &result);
    if (st == PS_OK)
        log_load(&result);
    ps_db_close(db);
    return st == PS_OK ? PS_OK : fail(st, "load_telemetry", "");
}

static enum ps_status start_actors(struct server *server)
{
    const struct ps_config *config = &server->config;
    struct ps_actors_settings settings = {
        .shards = server->shards,
        .writer = server->writer,
        .readers = server->readers,
        .chains = server->chains,
        .metrics = server->metrics,
        .mailbox = { .messages_max = (uint32_t)config->actors_mailbox_messages_max,
                     .bytes_max = (uint32_t)config->actors_mailbox_bytes_max },
        .lua = lua_limits(config),
        .run = run_limits(config),
        .idle_park_ms = config->actors_idle_park_ms,
        .turn_messages = (uint32_t)config->actors_turn_messages,
        .turn_us = config->actors_turn_us,
        .batch_bytes_max = (size_t)config->storage_batch_bytes_max,
        .dead_letter_bytes_max = config->storage_dead_letter_max_bytes,
        .sessions_per_device_max = (uint32_t)config->transport_max_sessions_per_device,
        .head_points_max = (uint32_t)config->telemetry_head_points_max,
        .head_memory_max = (size_t)config->telemetry_head_memory_max_bytes,
        .store = server->store,
        .sealed_seq = &server->sealed_seq,
        .default_ttl_s = (uint32_t)(config->telemetry_ttl_days * 86400),
    };
    enum ps_status st = ps_actors_create(&settings, &server->actors);
    if (st == PS_OK)
        st = load_telemetry(server);
    if (st == PS_OK)
        st = ps_actors_start(server->actors);
    server->actors_run = st == PS_OK;
    return st == PS_OK ? PS_OK : fail(st, "actors", "");
}

/* Not before telemetry is loaded: sealing meanwhile would only make the start slower. */
static enum ps_status start_keeper(struct server *server)
{
    const struct ps_config *config = &server->config;
    struct ps_keeper_settings settings = {
        .dir = config->storage_dir,
        .db_path = server->db_path,
        .writer = server->writer,
        .store = server->store,
        .metrics = server->metrics,
        .metrics_lane = server->shards + 1,
        .sealed_seq = &server->sealed_seq,
        .range = (enum ps_range_unit)config->telemetry_range,
        .default_ttl_s = (uint32_t)(config->telemetry_ttl_days * 86400),
        .journal_bytes_max = (uint64_t)config->telemetry_journal_bytes_max,
        .seal_interval_ms = config->telemetry_seal_interval_ms,
        .seal_memory_bytes = (size_t)config->telemetry_seal_memory_bytes,
        .budget = server->disk,
    };
    enum ps_status st = ps_keeper_start(&settings, &server->keeper);
    return st == PS_OK ? PS_OK : fail(st, "keeper", "");
}

/* ---- transports ---------------------------------------------------------------------------------
 */

static void adopt_ws(void *ws, int fd)
{
    ps_ws_adopt(ws, fd);
}

static enum ps_status start_front(struct server *server, struct ps_text *why)
{
    const struct ps_config *config = &server->config;
    struct ps_front_settings front = {
        .bind = config->http_bind,
        .port = (uint16_t)config->http_port,
        .header_timeout_ms = config->http_header_timeout_ms,
        .connections_max = (uint64_t)config->http_connections_max,
        .metrics = server->metrics,
        .metrics_lane = server->shards,
        .http_adopt = ps_http_adopt,
        .ws_adopt = adopt_ws,
        .http_open = ps_http_open_connections,
        .http = server->http,
        .ws = server->ws,
    };
    return ps_front_start(&front, &server->front, why);
}

static enum ps_status start_transports(struct server *server)
{
    server->services = (struct ps_services){ .config = &server->config,
                                             .metrics = server->metrics,
                                             .actors = server->actors,
                                             .writer = server->writer,
                                             .readers = server->readers,
                                             .identities = server->identities,
                                             .sessions = server->sessions,
                                             .chains = server->chains,
                                             .scripts = server->scripts,
                                             .store = server->store,
                                             .disk = server->disk,
                                             .jwt_key = server->jwt_key,
                                             .jwt_key_len = sizeof server->jwt_key };
    struct ps_text why = { "" };
    enum ps_status st = ps_rest_create(&server->services, &server->rest);
    struct ps_http_settings http = { .services = &server->services,
                                     .metrics_lane = server->shards,
                                     .rest = ps_rest_handle,
                                     .rest_context = server->rest };
    if (st == PS_OK)
        st = ps_http_start(&http, &server->http, &why);
    if (st == PS_OK)
        st = ps_ws_start(&server->services, &server->ws);
    if (st == PS_OK)
        st = ps_coap_start(&server->services, &server->coap, &why);
    if (st == PS_OK)
        st = ps_mqtt_start(&server->services, &server->mqtt, &why);
    if (st == PS_OK)
        st = start_front(server, &why);
    return st == PS_OK ? PS_OK : fail(st, "transports", why.data);
}

/* ---- serving ------------------------------------------------------------------------------------
 */

/* Written beside and renamed: who waits for the file never sees half of it. */
static void write_ready_file(const struct server *server)
{
    const char *path = server->options->ready_file;
    char temporary[PATH_SIZE];
    if (!path)
        return;
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "we");
    if (!file) {
        ps_log_event(PS_LOG_WARN, "server", "ready_file_not_written", "error", strerror(errno));
        return;
    }
    fprintf(file, "{\"http\":%u,\"mqtt\":%u,\"coap\":%u,\"pid\":%ld}\n",
            ps_front_port(server->front), ps_mqtt_port(server->mqtt), ps_coap_port(server->coap),
            (long)getpid());
    fclose(file);
    if (rename(temporary, path) != 0)
        ps_log_event(PS_LOG_WARN, "server", "ready_file_not_written", "error", strerror(errno));
}

static void say_ready(const struct server *server)
{
    struct ps_log_line line;
    ps_http_set_ready(server->http, true);
    if (ps_log_begin(&line, PS_LOG_INFO, "server", "ready")) {
        ps_log_int(&line, "http", ps_front_port(server->front));
        ps_log_int(&line, "mqtt", ps_mqtt_port(server->mqtt));
        ps_log_int(&line, "coap", ps_coap_port(server->coap));
        ps_log_int(&line, "shards", server->shards);
        ps_log_int(&line, "start_us", (ps_clock_mono_ns() - server->started_ns) / 1000);
        ps_log_end(&line);
    }
    write_ready_file(server);
}

static void dump(const struct server *server)
{
    struct ps_log_line line;
    struct ps_writer_stats writer = ps_writer_stats(server->writer);
    if (!ps_log_begin(&line, PS_LOG_INFO, "server", "dump"))
        return;
    static const struct {
        const char *name;
        enum ps_metric id;
    } shown[] = {
        { "actors", PS_METRIC_ACTORS },
        { "mqtt_connections", PS_METRIC_MQTT_CONNECTIONS },
        { "http_connections", PS_METRIC_HTTP_CONNECTIONS },
        { "ws_sessions", PS_METRIC_WS_SESSIONS },
        { "subscriptions", PS_METRIC_SUBSCRIPTIONS },
        { "messages_in_flight", PS_METRIC_MSG_IN_FLIGHT },
        { "lua_states", PS_METRIC_LUA_STATES },
        { "points", PS_METRIC_POINTS },
        { "dead_letters", PS_METRIC_DEAD_LETTERS },
    };
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        ps_log_int(&line, shown[i].name, ps_metrics_read(server->metrics, shown[i].id));
    ps_log_int(&line, "commits", (int64_t)writer.commits);
    ps_log_int(&line, "commits_failed", (int64_t)writer.failures);
    ps_log_end(&line);
}

static void reload(struct server *server)
{
    struct ps_config fresh;
    if (!server->options->reload || !server->options->reload(server->options->reload_arg, &fresh))
        return;
    size_t waiting = ps_config_reload(&server->config, &fresh);
    ps_server_configure_log(&server->config);
    struct ps_log_line line;
    if (ps_log_begin(&line, PS_LOG_INFO, "server", "reloaded")) {
        ps_log_int(&line, "wait_for_restart", (int64_t)waiting);
        ps_log_end(&line);
    }
}

static void serve(struct server *server)
{
    for (;;) {
        struct signalfd_siginfo info;
        if (read(server->signal_fd, &info, sizeof info) != sizeof info)
            continue;
        switch (info.ssi_signo) {
        case SIGHUP:
            reload(server);
            break;
        case SIGUSR1:
            dump(server);
            break;
        default:
            return;
        }
    }
}

/* In reverse: who feeds stops first, what was taken is finished and answered. */
static void stop(struct server *server)
{
    ps_front_stop(server->front);
    if (server->mqtt)
        ps_mqtt_stop(server->mqtt);
    ps_http_stop(server->http, server->config.server_stop_timeout_ms);
    ps_coap_stop(server->coap);
    if (server->ws)
        ps_ws_stop(server->ws);
    if (server->actors_run)
        ps_actors_stop(server->actors);
    ps_reader_pool_destroy(server->readers); /* before the ports its jobs post to */
    ps_ws_destroy(server->ws);
    ps_mqtt_destroy(server->mqtt);
    ps_rest_destroy(server->rest);
    ps_keeper_stop(server->keeper);
    ps_writer_stop(server->writer);
    ps_actors_destroy(server->actors);
    ps_identity_cache_destroy(server->identities);
    ps_chains_destroy(server->chains);
    ps_script_cache_destroy(server->scripts);
    ps_session_registry_destroy(server->sessions);
    ps_store_close(server->store);
    ps_disk_budget_close(server->disk);
    ps_metrics_destroy(server->metrics);
    if (server->signal_fd >= 0)
        close(server->signal_fd);
    if (server->lock_fd >= 0)
        close(server->lock_fd);
}

int ps_server_run(const struct ps_server_options *options)
{
    static const struct server empty = { .lock_fd = -1, .signal_fd = -1 };
    struct server *server = malloc(sizeof *server);
    if (!server)
        return EXIT_FAILURE;
    *server = empty;
    server->options = options;
    server->config = *options->config;
    server->started_ns = ps_clock_mono_ns();
    server->shards = (unsigned)server->config.actors_shards;
    if (!server->shards)
        server->shards = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    raise_descriptor_limit();
    enum ps_status st = take_signals(server);
    if (st == PS_OK)
        st = open_directory(server);
    if (st == PS_OK)
        st = start_core(server);
    if (st == PS_OK)
        st = start_actors(server);
    if (st == PS_OK)
        st = start_keeper(server);
    if (st == PS_OK)
        st = start_transports(server);
    if (st == PS_OK) {
        say_ready(server);
        serve(server);
        ps_log_event(PS_LOG_INFO, "server", "stopping", NULL, NULL);
    }
    stop(server);
    free(server);
    if (st == PS_OK)
        ps_log_event(PS_LOG_INFO, "server", "stopped", NULL, NULL);
    return st == PS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
