#include "transport/mqtt/login.h"

#include <stdlib.h>
#include <string.h>

#include "core/entity/credentials.h"
#include "core/storage/reader.h"

struct login {
    struct ps_reader_job job; /* first */
    struct ps_port_item item;
    struct ps_port *home;
    struct ps_login_result result;
    void (*done)(struct ps_login_result *result);
    struct ps_mqtt_login credentials; /* text behind the struct */
    char text[];
};

static struct ps_login_span copy_span(char **at, const struct ps_mqtt_span *from)
{
    struct ps_login_span span = { .present = from->data != NULL, .len = from->len, .data = *at };
    if (from->len)
        memcpy(*at, from->data, from->len);
    *at += from->len;
    return span;
}

static enum ps_mqtt_reason reason_of(enum ps_login_refusal refusal)
{
    switch (refusal) {
    case PS_LOGIN_REFUSED_CREDENTIALS:
        return PS_MQTT_BAD_CREDENTIALS;
    case PS_LOGIN_REFUSED_CLIENT_ID:
        return PS_MQTT_CLIENT_ID_INVALID;
    case PS_LOGIN_REFUSED_NOTHING_GIVEN:
    case PS_LOGIN_REFUSED_PROVISION: /* provisioning is not available in this version */
        return PS_MQTT_NOT_AUTHORIZED;
    case PS_LOGIN_ACCEPTED:
    case PS_LOGIN_REFUSED_UNAVAILABLE:
        break;
    }
    return PS_MQTT_SERVER_UNAVAILABLE;
}

static void answer(struct ps_port_item *item, void *owner)
{
    (void)owner;
    struct login *login = (struct login *)((char *)item - offsetof(struct login, item));
    login->done(&login->result);
    free(login);
}

static void look_up(struct ps_reader_job *job, struct ps_db *db)
{
    struct login *login = (struct login *)job;
    enum ps_login_refusal refusal = PS_LOGIN_REFUSED_UNAVAILABLE;
    if (ps_mqtt_authenticate(db, &login->credentials, &login->result.identity, &refusal) != PS_OK)
        login->result.identity = NULL;
    login->result.refusal = reason_of(refusal);
    ps_port_post(login->home, &login->item);
}

enum ps_status ps_login_start(struct ps_mqtt_connection *conn,
                              const struct ps_mqtt_connect *connect,
                              void (*done)(struct ps_login_result *result))
{
    struct login *login = malloc(sizeof *login + connect->client_id.len + connect->username.len +
                                 connect->password.len);
    if (!login)
        return PS_ENOMEM;
    *login = (struct login){ .job = { .run = look_up },
                             .item = { .run = answer },
                             .home = ps_shard_port(conn->lane->shard),
                             .result = { .conn = conn },
                             .done = done };
    char *at = login->text;
    login->credentials.client_id = copy_span(&at, &connect->client_id);
    login->credentials.username = copy_span(&at, &connect->username);
    login->credentials.password = copy_span(&at, &connect->password);
    enum ps_status st = ps_reader_submit(conn->lane->services->readers, &login->job);
    if (st != PS_OK) {
        free(login);
        return st;
    }
    conn->references++;
    return PS_OK;
}
