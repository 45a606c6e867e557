/* Promises of the WebSocket server, on real sockets: the contract's life cycle and examples.
 *
 * Shards, readers and the database are fakes: a job or a watch waits until the test lets it
 * happen, so "written between registration and snapshot" is a line of a test, not a race. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>

#include "actors/entity_calls.h"
#include "actors/subscribers.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/entity/attribute.h"
#include "core/metrics.h"
#include "core/storage/reader.h"
#include "core/thread.h"
#include "support/ws_client.h"
#include "transport/ws/access.h"
#include "transport/ws/ws.h"

#define D "784f394c-42b6-435a-983c-b7beff2784f9"
#define DEVICE "\"entityType\":\"DEVICE\",\"entityId\":\"" D "\""
#define T0 1719830400000
#define AUTH "{\"authCmd\":{\"cmdId\":0,\"token\":\"good\"},"

/* --- the fakes --- */

/* The one world of the fakes: what they cannot be handed, for they stand in for functions. */
static struct fake_world {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ps_reader_job *jobs, **jobs_end;
    unsigned jobs_waiting;
    struct ps_watch *watch; /* asked for and not yet answered */
    struct ps_update_hub *hub;
    unsigned watches, watch_starts, watch_stops;
    bool revoked, readers_full;
    unsigned given_up;        /* histories that nobody waited for any more */
    struct ps_points *latest; /* what the entity's actor answers, or NULL */
    struct ps_attribute *attribute;
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void fake_reset(void)
{
    fake.jobs = NULL;
    fake.jobs_end = &fake.jobs;
    fake.jobs_waiting = fake.watches = fake.watch_starts = fake.watch_stops = 0;
    fake.watch = NULL;
    fake.revoked = fake.readers_full = false;
    fake.given_up = 0;
    fake.latest = NULL;
    fake.attribute = NULL;
}

enum ps_status ps_reader_submit(struct ps_reader_pool *pool, struct ps_reader_job *job)
{
    (void)pool;
    pthread_mutex_lock(&fake.lock);
    enum ps_status st = fake.readers_full ? PS_EBUSY : PS_OK;
    if (st == PS_OK) {
        job->next = NULL;
        *fake.jobs_end = job;
        fake.jobs_end = &job->next;
        fake.jobs_waiting++;
        pthread_cond_broadcast(&fake.changed);
    }
    pthread_mutex_unlock(&fake.lock);
    return st;
}

void ps_watch_start(struct ps_actors *actors, struct ps_watch *watch)
{
    (void)actors;
    pthread_mutex_lock(&fake.lock);
    fake.watch = watch;
    fake.hub = watch->hub;
    fake.watch_starts++;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

void ps_watch_stop(struct ps_actors *actors, struct ps_update_hub *hub,
                   const struct ps_uuid *tenant, const struct ps_entity_id *entity)
{
    (void)actors;
    (void)hub;
    (void)tenant;
    (void)entity;
    pthread_mutex_lock(&fake.lock);
    fake.watch_stops++;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

void ps_update_done(struct ps_update_hub *hub, struct ps_update *update)
{
    atomic_fetch_sub(&hub->outstanding, 1);
    free(update);
}

static enum ps_status copy_points(const struct ps_points *from, const char *key,
                                  struct ps_point_set *out)
{
    struct ps_points *to = calloc(1, sizeof *to);
    to->key = strdup(key);
    for (size_t i = 0; from && i < from->count; i++)
        assert_int_equal(ps_points_add(to, from->points[i].ts_ms, &from->points[i].value), PS_OK);
    *out = (struct ps_point_set){ .count = 1, .keys = to };
    return PS_OK;
}

enum ps_status ps_entity_latest(struct ps_actors *actors, struct ps_db *db,
                                const struct ps_entity_ref *ref, const char *const *keys,
                                size_t key_count, struct ps_point_set *out)
{
    (void)actors;
    (void)db;
    (void)ref;
    assert_true(key_count <= 1);
    if (!key_count && !fake.latest) {
        *out = (struct ps_point_set){ 0 };
        return PS_OK;
    }
    return copy_points(fake.latest, key_count ? keys[0] : fake.latest->key, out);
}

enum ps_status ps_entity_history(struct ps_actors *actors, struct ps_db *db,
                                 const struct ps_entity_ref *ref, const char *const *keys,
                                 size_t key_count, const struct ps_history_query *query,
                                 struct ps_point_set *out)
{
    (void)actors;
    (void)db;
    (void)ref;
    assert_int_equal(key_count, 1);
    assert_true(query->now_ms > 0); /* one present for all keys */
    if (atomic_load(query->abandoned)) {
        fake.given_up++;
        return PS_ECLOSED;
    }
    if (query->start_ms == 666)
        return PS_ESTORE;
    return copy_points(fake.latest, keys[0], out);
}

void ps_attribute_list_deinit(struct ps_attribute_list *list)
{
    free(list->items);
}

enum ps_status ps_attribute_list(struct ps_db *db, const struct ps_entity_id *entity,
                                 const enum ps_attribute_scope *scope,
                                 struct ps_attribute_list *list)
{
    (void)db;
    (void)entity;
    (void)scope;
    if (!fake.attribute)
        return PS_OK;
    list->items = malloc(sizeof *list->items);
    list->items[0] = *fake.attribute;
    list->count = 1;
    return PS_OK;
}

enum ps_status ps_attribute_get(struct ps_db *db, const struct ps_entity_id *entity,
                                enum ps_attribute_scope scope, const char *key, size_t key_len,
                                struct ps_attribute_list *list)
{
    (void)key;
    (void)key_len;
    return ps_attribute_list(db, entity, &scope, list);
}

enum ps_status ps_ws_token_check(const struct ps_services *services, const char *token,
                                 struct ps_jwt_claims *out, const char **why)
{
    (void)services;
    if (strcmp(token, "good") != 0) {
        *why = "JWT Token expired";
        return PS_EAUTH;
    }
    *out = (struct ps_jwt_claims){ .enabled = true };
    return PS_OK;
}

bool ps_ws_token_is_revoked(const struct ps_services *services, const struct ps_jwt_claims *claims)
{
    (void)services;
    (void)claims;
    pthread_mutex_lock(&fake.lock);
    bool revoked = fake.revoked;
    pthread_mutex_unlock(&fake.lock);
    return revoked;
}

/* Devices are readable, anything else is foreign. */
enum ps_status ps_ws_may_read(struct ps_db *db, const struct ps_principal *principal,
                              const struct ps_entity_id *entity, struct ps_uuid *tenant)
{
    (void)db;
    (void)principal;
    if (entity->type != PS_ENTITY_DEVICE)
        return PS_EDENIED;
    memset(tenant->bytes, 7, sizeof tenant->bytes);
    return PS_OK;
}

/* --- turning the fakes by hand --- */

/* Sleep until the fakes' world changed; false: not until the deadline. Under the lock. */
static bool world_changes(const struct timespec *deadline)
{
    return pthread_cond_timedwait(&fake.changed, &fake.lock, deadline) == 0;
}

static struct timespec deadline_from_now(void)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WS_CLIENT_DEADLINE_MS / 1000;
    return deadline;
}

/* Wait until *counter is `wanted`. */
static void wait_for(const unsigned *counter, unsigned wanted)
{
    struct timespec deadline = deadline_from_now();
    bool late = false;
    pthread_mutex_lock(&fake.lock);
    while (*counter != wanted && !late)
        late = !world_changes(&deadline);
    pthread_mutex_unlock(&fake.lock);
    assert_false(late);
}

static void run_job(void)
{
    struct timespec deadline = deadline_from_now();
    bool late = false;
    pthread_mutex_lock(&fake.lock);
    while (!fake.jobs && !late)
        late = !world_changes(&deadline);
    struct ps_reader_job *job = fake.jobs;
    if (job) {
        fake.jobs = job->next;
        fake.jobs_end = fake.jobs ? fake.jobs_end : &fake.jobs;
        fake.jobs_waiting--;
    }
    pthread_mutex_unlock(&fake.lock);
    assert_non_null(job);
    ps_thread_set_role(PS_THREAD_READER);
    job->run(job, NULL);
    ps_thread_set_role(PS_THREAD_OTHER);
}

static void answer_watch(enum ps_status status)
{
    wait_for(&fake.watch_starts, ++fake.watches);
    fake.watch->status = status;
    ps_port_post(fake.hub->port, &fake.watch->item);
}

/* What a shard does after a commit. */
static void publish(enum ps_update_kind kind, enum ps_attribute_scope scope, int64_t ts_ms,
                    const struct ps_kv *kvs, uint32_t count)
{
    struct ps_update *update = calloc(1, sizeof *update + count * sizeof *kvs);
    memcpy(update + 1, kvs, count * sizeof *kvs);
    *update = (struct ps_update){ .item = { .run = fake.hub->run },
                                  .entity = { .type = PS_ENTITY_DEVICE },
                                  .kind = kind,
                                  .scope = scope,
                                  .ts_ms = ts_ms,
                                  .kv_count = count,
                                  .kvs = (const struct ps_kv *)(update + 1) };
    assert_int_equal(ps_uuid_parse(D, strlen(D), &update->entity.id), PS_OK);
    atomic_fetch_add(&fake.hub->outstanding, 1);
    ps_port_post(fake.hub->port, &update->item);
}

static void publish_number(const char *key, int64_t ts_ms, int64_t value)
{
    struct ps_kv kv = { key, (uint32_t)strlen(key), { .type = PS_VALUE_LONG, .integer = value } };
    publish(PS_UPDATE_TELEMETRY, 0, ts_ms, &kv, 1);
}

/* --- the fixture --- */

struct fixture {
    struct ps_config config;
    struct ps_metrics *metrics;
    struct ps_ws *ws;
    struct ws_client *client;
    bool stopped;
};

static struct fixture *fixture_create(const char *key, const char *value)
{
    struct fixture *f = calloc(1, sizeof *f);
    fake_reset();
    ps_config_init(&f->config);
    if (key)
        assert_int_equal(ps_config_set(&f->config, "ws", key, value, NULL), PS_OK);
    assert_int_equal(ps_metrics_create(1, &f->metrics), PS_OK);
    struct ps_services services = { .config = &f->config, .metrics = f->metrics };
    assert_int_equal(ps_ws_start(&services, &f->ws), PS_OK);
    return f;
}

static int64_t metric(const struct fixture *f, enum ps_metric id)
{
    return atomic_load(&f->metrics->lanes[0].values[id]);
}

static void fixture_stop(struct fixture *f)
{
    if (!f->stopped)
        ps_ws_stop(f->ws);
    f->stopped = true;
}

static void client_close(struct ws_client *client)
{
    if (client)
        close(client->fd);
    free(client);
}

static void fixture_destroy(struct fixture *f)
{
    client_close(f->client);
    fixture_stop(f);
    assert_int_equal(metric(f, PS_METRIC_WS_SESSIONS), 0);
    assert_int_equal(metric(f, PS_METRIC_SUBSCRIPTIONS), 0);
    ps_ws_destroy(f->ws);
    ps_metrics_destroy(f->metrics);
    free(f);
}

/* A connected pair of TCP sockets. */
static void tcp_pair(int *client, int *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), small = 16384;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(*client, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connect(*client, (struct sockaddr *)&address, len), 0);
    *server = accept(listener, NULL, NULL);
    assert_true(*server >= 0);
    close(listener);
}

static struct ws_client *client_open(struct fixture *f, const char *path)
{
    int ours, theirs;
    struct ws_client *client = malloc(sizeof *client);
    tcp_pair(&ours, &theirs);
    ps_ws_adopt(f->ws, theirs);
    assert_true(ws_client_open(client, ours, path));
    return client;
}

static void expect(struct ws_client *client, const char *want)
{
    struct ws_frame frame;
    do {
        assert_true(ws_client_next(client, WS_CLIENT_DEADLINE_MS, &frame));
    } while (frame.opcode == WS_PING);
    assert_int_equal(frame.opcode, WS_TEXT);
    char *text = strndup(frame.payload, frame.len);
    assert_string_equal(text, want);
    free(text);
}

/* Skip what is still said; the close frame must carry this, byte for byte. */
static void expect_close(struct ws_client *client, int code, const char *reason)
{
    struct ws_frame frame;
    do {
        assert_true(ws_client_next(client, WS_CLIENT_DEADLINE_MS, &frame));
        assert_true(frame.opcode != -1);
    } while (frame.opcode != WS_CLOSE);
    assert_true(frame.len >= 2);
    assert_int_equal((unsigned char)frame.payload[0] << 8 | (unsigned char)frame.payload[1], code);
    assert_int_equal(frame.len - 2, strlen(reason));
    assert_memory_equal(frame.payload + 2, reason, strlen(reason));
    while (ws_client_next(client, 200, &frame) && frame.opcode != -1)
        fail_msg("a frame after the close frame: opcode %d", frame.opcode);
}

#define FRAME(id, data, latest)                                                                    \
    "{\"subscriptionId\":" #id ",\"errorCode\":0,\"errorMsg\":null,\"data\":{" data                \
    "},\"latestValues\":{" latest "}}"
#define ERROR(id, code, text)                                                                      \
    "{\"cmdId\":" #id ",\"subscriptionId\":" #id ",\"errorCode\":" #code ",\"errorMsg\":\"" text   \
    "\",\"data\":null,\"latestValues\":{}}"

/* Through CHECKING, REGISTERING and READING. */
static void let_subscribe(void)
{
    run_job();
    answer_watch(PS_OK);
    run_job();
}

/* --- the contract's examples --- */

static void subscription_in_the_first_frame_gets_snapshot_then_updates(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    struct ps_points latest = { .key = strdup("temperature") };
    struct ps_value value = { .type = PS_VALUE_DOUBLE, .real = 21.5 };
    assert_int_equal(ps_points_add(&latest, T0, &value), PS_OK);
    fake.latest = &latest;
    f->client = client_open(f, "/api/ws");
    ws_client_say(f->client, AUTH "\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE
                                  ",\"scope\":\"LATEST_TELEMETRY\",\"keys\":\"temperature\"}]}");
    let_subscribe();
    expect(f->client,
           FRAME(1, "\"temperature\":[[1719830400000,\"21.5\"]]", "\"temperature\":1719830400000"));

    const struct ps_kv write[] = {
        { "humidity", 8, { .type = PS_VALUE_LONG, .integer = 40 } },
        { "temperature", 11, { .type = PS_VALUE_LONG, .integer = 22 } }
    };
    publish(PS_UPDATE_TELEMETRY, 0, T0 + 5000, write, 2);
    expect(f->client,
           FRAME(1, "\"temperature\":[[1719830405000,\"22\"]]", "\"temperature\":1719830405000"));

    publish_number("temperature", T0 - 60000, 1); /* example 3: no frame */
    publish_number("humidity", T0 + 6000, 41);    /* not asked for: no frame */
    publish_number("temperature", T0 + 7000, 23);
    expect(f->client,
           FRAME(1, "\"temperature\":[[1719830407000,\"23\"]]", "\"temperature\":1719830407000"));
    assert_int_equal(metric(f, PS_METRIC_SUBSCRIPTIONS), 1);

    /* example 8: unsubscribe is silent, and nothing comes any more */
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE
                             ",\"unsubscribe\":true}]}");
    wait_for(&fake.watch_stops, 1);
    publish_number("temperature", T0 + 8000, 24);
    ws_client_say(f->client, "{\"cmds\":[");
    expect(f->client, ERROR(1, 2, "Failed to parse the payload"));
    fixture_destroy(f);
    ps_points_deinit(&latest);
}

static void legacy_endpoint_and_envelope_serve_empty_devices(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws/plugins/telemetry?token=good");
    ws_client_say(f->client, "{\"tsSubCmds\":[{" DEVICE ",\"scope\":\"LATEST_TELEMETRY\","
                             "\"cmdId\":10}],\"historyCmds\":[],\"attrSubCmds\":[]}");
    let_subscribe();
    expect(f->client, FRAME(10, "", ""));
    fixture_destroy(f);
}

static void attributes_are_pushed_and_deletions_shown(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    char key[] = "active";
    struct ps_attribute stored = { .scope = PS_SCOPE_SERVER,
                                   .key = key,
                                   .key_len = 6,
                                   .value = { .type = PS_VALUE_BOOLEAN, .boolean = false },
                                   .updated_ms = T0 - 10000 };
    fake.attribute = &stored;
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":3,\"type\":\"ATTRIBUTES\"," DEVICE
                             ",\"scope\":\"SERVER_SCOPE\",\"keys\":\"active\"}]}");
    let_subscribe();
    expect(f->client,
           FRAME(3, "\"active\":[[1719830390000,\"false\"]]", "\"active\":1719830390000"));
    struct ps_kv kv = { "active", 6, { .type = PS_VALUE_BOOLEAN, .boolean = true } };
    publish(PS_UPDATE_ATTRIBUTES, PS_SCOPE_SHARED, T0 + 5000, &kv, 1); /* another scope */
    publish(PS_UPDATE_ATTRIBUTES, PS_SCOPE_SERVER, T0 + 6000, &kv, 1);
    expect(f->client,
           FRAME(3, "\"active\":[[1719830406000,\"true\"]]", "\"active\":1719830406000"));
    kv.value.type = PS_VALUE_NULL;
    publish(PS_UPDATE_ATTRIBUTES_DELETED, PS_SCOPE_SERVER, T0 + 7000, &kv, 1);
    expect(f->client, FRAME(3, "\"active\":[[0,\"\"]]", "\"active\":0"));
    fixture_destroy(f);
}

static void history_is_answered_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    struct ps_points points = { .key = strdup("temperature") };
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 22 };
    assert_int_equal(ps_points_add(&points, T0 + 5000, &value), PS_OK);
    value = (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = 21.5 };
    assert_int_equal(ps_points_add(&points, T0, &value), PS_OK);
    fake.latest = &points;
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":4,\"type\":\"TIMESERIES_HISTORY\"," DEVICE
                             ",\"keys\":\"temperature\",\"startTs\":1719830400000,"
                             "\"endTs\":1719830410000,\"limit\":2,\"agg\":\"NONE\"},"
                             "{\"cmdId\":5,\"type\":\"TIMESERIES_HISTORY\"," DEVICE
                             ",\"keys\":\"temperature\",\"startTs\":666,\"endTs\":777}]}");
    run_job();
    expect(f->client, FRAME(4, "\"temperature\":[[1719830405000,\"22\"],[1719830400000,\"21.5\"]]",
                            "\"temperature\":1719830405000"));
    run_job();
    expect(f->client, ERROR(5, 1, "Failed to fetch historical data!"));
    assert_int_equal(fake.watch_starts, 0);
    assert_int_equal(metric(f, PS_METRIC_SUBSCRIPTIONS), 0);
    fixture_destroy(f);
    ps_points_deinit(&points);
}

static void errors_end_nothing_else(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client,
                  "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "},"
                  "{\"cmdId\":20,\"type\":\"TIMESERIES\",\"entityType\":\"DEVICE\"},"
                  "{\"cmdId\":-1,\"type\":\"TIMESERIES\"," DEVICE "},"
                  "{\"cmdId\":5,\"type\":\"ENTITY_DATA\"},"
                  "{\"cmdId\":21,\"type\":\"ATTRIBUTES\",\"entityType\":\"ASSET\",\"entityId\":\"" D
                  "\"},{\"cmdId\":10,\"type\":\"NOTIFICATIONS_COUNT\"}]}");
    expect(f->client, ERROR(20, 2, "Device id is empty!"));
    expect(f->client, ERROR(-1, 2, "Cmd id is negative value!"));
    expect(f->client, ERROR(5, 2, "ENTITY_DATA is not available in this version"));
    expect(f->client, "{\"cmdId\":10,\"errorCode\":0,\"errorMsg\":null,\"totalUnreadCount\":0,"
                      "\"sequenceNumber\":1,\"cmdUpdateType\":\"NOTIFICATIONS_COUNT\"}");
    run_job(); /* check of 1 */
    run_job(); /* check of 21 */
    expect(f->client, ERROR(21, 3, "Unauthorized"));
    answer_watch(PS_OK);
    run_job();
    expect(f->client, FRAME(1, "", ""));
    publish_number("a", 5, 1);
    expect(f->client, FRAME(1, "\"a\":[[5,\"1\"]]", "\"a\":5"));
    fixture_destroy(f);
}

static void nothing_between_registration_and_snapshot_is_lost(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    struct ps_points latest = { .key = strdup("a") };
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 100 };
    assert_int_equal(ps_points_add(&latest, 100, &value), PS_OK);
    fake.latest = &latest;
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE
                             ",\"scope\":\"LATEST_TELEMETRY\"}]}");
    run_job();
    answer_watch(PS_OK);
    publish_number("a", 90, 90); /* older than what the snapshot will tell */
    publish_number("a", 110, 110);
    publish_number("b", 1, 1);
    run_job();
    expect(f->client, FRAME(1, "\"a\":[[100,\"100\"]]", "\"a\":100"));
    expect(f->client, FRAME(1, "\"a\":[[110,\"110\"]],\"b\":[[1,\"1\"]]", "\"a\":110,\"b\":1"));
    fixture_destroy(f);
    ps_points_deinit(&latest);
}

static void buffer_that_overflows_makes_the_snapshot_be_read_again(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "}]}");
    run_job();
    answer_watch(PS_OK);
    for (int64_t ts = 1; ts <= 5000; ts++)
        publish_number("a", ts, ts);
    struct ps_points latest = { .key = strdup("a") };
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 5000 };
    run_job(); /* its result is dropped: it may miss what the buffer had no room for */
    assert_int_equal(ps_points_add(&latest, 5000, &value), PS_OK);
    fake.latest = &latest;
    run_job();
    expect(f->client, FRAME(1, "\"a\":[[5000,\"5000\"]]", "\"a\":5000"));
    fixture_destroy(f);
    ps_points_deinit(&latest);
}

static void watches_are_shared_and_stop_with_the_last_subscription(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws?token=good");
    struct ws_client *other = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "}]}");
    let_subscribe();
    expect(f->client, FRAME(1, "", ""));
    ws_client_say(other, "{\"cmds\":[{\"cmdId\":9,\"type\":\"TIMESERIES\"," DEVICE "}]}");
    run_job(); /* the entity is watched already */
    run_job();
    expect(other, FRAME(9, "", ""));
    assert_int_equal(fake.watch_starts, 1);
    publish_number("a", 5, 1);
    expect(f->client, FRAME(1, "\"a\":[[5,\"1\"]]", "\"a\":5"));
    expect(other, FRAME(9, "\"a\":[[5,\"1\"]]", "\"a\":5"));

    client_close(other);
    publish_number("a", 6, 2);
    expect(f->client, FRAME(1, "\"a\":[[6,\"2\"]]", "\"a\":6"));
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":0,\"type\":\"TIMESERIES\",\"entityId\":\"\","
                             "\"unsubscribe\":true}]}");
    wait_for(&fake.watch_stops, 1);
    fixture_destroy(f);
}

static void live_cmd_id_sent_again_replaces_its_subscription(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws?token=good");
    for (int round = 0; round < 3; round++) {
        ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "}]}");
        let_subscribe();
        expect(f->client, FRAME(1, "", ""));
        wait_for(&fake.watch_stops, (unsigned)round);
    }
    publish_number("a", 5, 1);
    expect(f->client, FRAME(1, "\"a\":[[5,\"1\"]]", "\"a\":5")); /* once */
    publish_number("a", 6, 1);
    expect(f->client, FRAME(1, "\"a\":[[6,\"1\"]]", "\"a\":6"));
    fixture_destroy(f);
}

static void answer_for_a_replaced_subscription_is_dropped(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "},"
                             "{\"cmdId\":1,\"type\":\"TIMESERIES\",\"entityType\":\"ASSET\","
                             "\"entityId\":\"" D "\"}]}");
    run_job(); /* may be read: but that was about the device */
    run_job();
    expect(f->client, ERROR(1, 3, "Unauthorized"));
    assert_int_equal(fake.watch_starts, 0);
    fixture_destroy(f);
}

static void session_gone_before_its_answers_harms_nobody(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    struct ws_client *gone = client_open(f, "/api/ws?token=good");
    ws_client_say(gone, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "},"
                        "{\"cmdId\":2,\"type\":\"TIMESERIES\"," DEVICE "}]}");
    run_job();
    wait_for(&fake.watch_starts, 1);
    client_close(gone);
    while (metric(f, PS_METRIC_WS_SESSIONS))
        poll(NULL, 0, 1);
    answer_watch(PS_OK);
    wait_for(&fake.watch_stops, 1);
    run_job(); /* for nobody */
    fixture_destroy(f);
}

static void question_of_a_session_that_is_gone_is_given_up(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    struct ws_client *gone = client_open(f, "/api/ws?token=good");
    ws_client_say(gone, "{\"cmds\":[{\"cmdId\":4,\"type\":\"TIMESERIES_HISTORY\"," DEVICE
                        ",\"keys\":\"a,b\",\"startTs\":0,\"endTs\":9}]}");
    wait_for(&fake.jobs_waiting, 1);
    client_close(gone);
    while (metric(f, PS_METRIC_WS_SESSIONS))
        poll(NULL, 0, 1);
    run_job();
    assert_int_equal(fake.given_up, 1);
    fixture_destroy(f);
}

static void full_readers_are_asked_again(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    fake.readers_full = true;
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "},"
                             "{\"cmdId\":2,\"type\":\"NOTIFICATIONS_COUNT\"}]}");
    expect(f->client, "{\"cmdId\":2,\"errorCode\":0,\"errorMsg\":null,\"totalUnreadCount\":0,"
                      "\"sequenceNumber\":1,\"cmdUpdateType\":\"NOTIFICATIONS_COUNT\"}");
    pthread_mutex_lock(&fake.lock);
    fake.readers_full = false;
    pthread_mutex_unlock(&fake.lock);
    let_subscribe();
    expect(f->client, FRAME(1, "", ""));
    fixture_destroy(f);
}

static void session_occupies_only_some_readers(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    char text[4096];
    size_t len = (size_t)snprintf(text, sizeof text, "{\"cmds\":[");
    for (int i = 1; i <= 20; i++)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "%s{\"cmdId\":%d,\"type\":\"TIMESERIES_HISTORY\"," DEVICE
                                ",\"keys\":\"a\"}",
                                i > 1 ? "," : "", i);
    snprintf(text + len, sizeof text - len, "]}");
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, text);
    wait_for(&fake.jobs_waiting, 8);
    for (int i = 1; i <= 20; i++) {
        run_job();
        struct ws_frame frame;
        assert_true(ws_client_next(f->client, WS_CLIENT_DEADLINE_MS, &frame));
        char want[64];
        snprintf(want, sizeof want, "{\"subscriptionId\":%d,", i);
        assert_memory_equal(frame.payload, want, strlen(want)); /* in the order asked */
        assert_true(fake.jobs_waiting <= 8);
    }
    fixture_destroy(f);
}

/* --- life cycle --- */

static void sessions_close_with_the_contract_s_codes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *path, *say;
        int opcode, code;
        const char *reason;
    } cases[] = {
        { "bad token in authCmd", "/api/ws", "{\"authCmd\":{\"cmdId\":0,\"token\":\"x\"}}", WS_TEXT,
          1007, "JWT Token expired" },
        { "no authCmd", "/api/ws", "{\"cmds\":[]}", WS_TEXT, 1008, "Auth cmd is missing" },
        { "bad token in the query", "/api/ws/plugins/telemetry?token=x", NULL, 0, 1011,
          "JWT Token expired" },
        { "token not first in the query", "/api/ws?a=b&token=x", NULL, 0, 1011,
          "JWT Token expired" },
        { "unknown endpoint", "/api/ws/plugins/weather", NULL, 0, 1007, "Unknown session type" },
        { "api key", "/api/ws", "{\"authCmd\":{\"apiKey\":\"k\"}}", WS_TEXT, 1007,
          "API keys are not available in this version" },
        { "binary frame", "/api/ws?token=good", "abc", WS_BINARY, 1003,
          "Binary frames are not supported" },
    };
    struct fixture *f = fixture_create(NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].name);
        struct ws_client *client = client_open(f, cases[i].path);
        if (cases[i].say)
            ws_client_send(client, cases[i].opcode, cases[i].say, strlen(cases[i].say));
        expect_close(client, cases[i].code, cases[i].reason);
        client_close(client);
    }
    fixture_destroy(f);
}

static void unparseable_first_frame_closes_with_the_parser_s_words(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws");
    ws_client_say(f->client, "{\"cmds\":[");
    struct ws_frame frame;
    assert_true(ws_client_next(f->client, WS_CLIENT_DEADLINE_MS, &frame));
    assert_int_equal(frame.opcode, WS_CLOSE);
    assert_int_equal((unsigned char)frame.payload[0] << 8 | (unsigned char)frame.payload[1], 1007);
    assert_true(frame.len > 2);
    fixture_destroy(f);
}

static void frame_over_the_limit_closes_with_1009_and_one_at_it_does_not(void **state)
{
    (void)state;
    struct fixture *f = fixture_create("frame_bytes_max", "2000");
    char text[2002];
    memset(text, ' ', sizeof text);
    memcpy(text, "{\"cmds\":[]}", 11);
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_send(f->client, WS_TEXT, text, 2000);
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":5,\"type\":\"ENTITY_DATA\"}]}");
    expect(f->client, ERROR(5, 2, "ENTITY_DATA is not available in this version"));
    ws_client_send(f->client, WS_TEXT, text, 2001);
    expect_close(f->client, 1009, "");

    struct ws_client *in_pieces = client_open(f, "/api/ws?token=good");
    unsigned char frame[1600];
    size_t len = ws_frame_make(frame, WS_TEXT, text, 1500);
    frame[0] &= 0x7f; /* not the last */
    assert_true(ws_send_all(in_pieces->fd, frame, len));
    ws_client_send(in_pieces, 0, text, 501);
    expect_close(in_pieces, 1009, "");
    client_close(in_pieces);
    fixture_destroy(f);
}

static void frame_in_fragments_is_one_frame(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws?token=good");
    const char *first = "{\"cmds\":[{\"cmdId\":5,", *second = "\"type\":\"ENTITY_DATA\"}]}";
    unsigned char frame[256];
    size_t len = ws_frame_make(frame, WS_TEXT, first, strlen(first));
    frame[0] &= 0x7f; /* not the last */
    assert_true(ws_send_all(f->client->fd, frame, len));
    ws_client_send(f->client, WS_PING, "hi", 2);
    struct ws_frame pong;
    assert_true(ws_client_next(f->client, WS_CLIENT_DEADLINE_MS, &pong));
    assert_int_equal(pong.opcode, WS_PONG);
    assert_int_equal(pong.len, 2);
    assert_memory_equal(pong.payload, "hi", 2);
    ws_client_send(f->client, 0, second, strlen(second));
    expect(f->client, ERROR(5, 2, "ENTITY_DATA is not available in this version"));
    fixture_destroy(f);
}

static void silence_before_authentication_ends_the_session(void **state)
{
    (void)state;
    struct fixture *f = fixture_create("auth_timeout_ms", "100");
    f->client = client_open(f, "/api/ws");
    expect_close(f->client, 1008, "");
    fixture_destroy(f);
}

static void pings_come_and_silence_is_death(void **state)
{
    (void)state;
    struct fixture *f = fixture_create("ping_interval_ms", "100");
    f->config.ws_ping_timeout_ms = 350;
    f->client = client_open(f, "/api/ws?token=good");
    struct ws_frame frame;
    for (int i = 0; i < 6; i++) { /* longer than the timeout, alive by pongs */
        assert_true(ws_client_next(f->client, WS_CLIENT_DEADLINE_MS, &frame));
        assert_int_equal(frame.opcode, WS_PING);
        ws_client_send(f->client, WS_PONG, frame.payload, frame.len);
    }
    expect_close(f->client, 4500, "");
    fixture_destroy(f);
}

static void revoked_token_ends_the_session(void **state)
{
    (void)state;
    struct fixture *f = fixture_create("ping_interval_ms", "100");
    f->client = client_open(f, "/api/ws?token=good");
    pthread_mutex_lock(&fake.lock);
    fake.revoked = true;
    pthread_mutex_unlock(&fake.lock);
    expect_close(f->client, 1008, "Token has expired");
    fixture_destroy(f);
}

static void sessions_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    struct fixture *f = fixture_create("sessions_max", "1");
    f->client = client_open(f, "/api/ws?token=good");
    int ours, theirs;
    struct ws_client *second = malloc(sizeof *second);
    tcp_pair(&ours, &theirs);
    ps_ws_adopt(f->ws, theirs);
    assert_false(ws_client_open(second, ours, "/api/ws?token=good"));
    assert_int_equal(metric(f, PS_METRIC_WS_SESSIONS_REFUSED), 1);
    client_close(second);
    fixture_destroy(f);
}

static void plain_http_is_told_to_upgrade(void **state)
{
    (void)state;
    static const char request[] = "GET /api/ws HTTP/1.1\r\nHost: x\r\n\r\n";
    struct fixture *f = fixture_create(NULL, NULL);
    int ours, theirs;
    char answer[1024];
    tcp_pair(&ours, &theirs);
    ps_ws_adopt(f->ws, theirs);
    assert_true(ws_send_all(ours, request, sizeof request - 1));
    ssize_t got = recv(ours, answer, sizeof answer, 0);
    assert_true(got > 12);
    assert_memory_equal(answer, "HTTP/1.1 400", 12);
    close(ours);
    fixture_destroy(f);
}

static void server_that_stops_says_going_away(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "}]}");
    let_subscribe();
    expect(f->client, FRAME(1, "", ""));
    fixture_stop(f);
    expect_close(f->client, 1001, "");
    assert_int_equal(fake.watch_stops, 1);
    publish_number("a", 1, 1); /* was on its way */
    fixture_destroy(f);
}

/* --- slow readers --- */

/* Publish points of `key` with large text until the session closes or `count` are out. */
static void flood(struct fixture *f, const char *key, int64_t count)
{
    static char text[512];
    memset(text, 'x', sizeof text);
    struct ps_kv kv = { key,
                        (uint32_t)strlen(key),
                        { .type = PS_VALUE_STRING, .len = sizeof text, .text = text } };
    for (int64_t ts = 1; ts <= count; ts++) {
        publish(PS_UPDATE_TELEMETRY, 0, ts, &kv, 1);
        while (atomic_load(&fake.hub->outstanding) > 1000)
            poll(NULL, 0, 1);
    }
    while (atomic_load(&fake.hub->outstanding))
        poll(NULL, 0, 1);
    (void)f;
}

static void slow_reader_of_every_point_is_closed_and_others_are_not(void **state)
{
    (void)state;
    struct fixture *f = fixture_create("queue_bytes_max", "1048576");
    f->client = client_open(f, "/api/ws?token=good");
    struct ws_client *other = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client,
                  "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE ",\"keys\":\"big\"}]}");
    let_subscribe();
    ws_client_say(other, "{\"cmds\":[{\"cmdId\":2,\"type\":\"TIMESERIES\"," DEVICE
                         ",\"keys\":\"small\"}]}");
    run_job();
    run_job();
    struct ws_frame frame; /* requested keys without a value are null, now */
    assert_true(ws_client_next(other, WS_CLIENT_DEADLINE_MS, &frame));
    flood(f, "big", 10000); /* 5 MB, and nobody reads */
    publish_number("small", 5, 1);
    expect(other, FRAME(2, "\"small\":[[5,\"1\"]]", "\"small\":5"));
    assert_int_equal(metric(f, PS_METRIC_WS_SLOW_READERS_CLOSED), 1);
    expect_close(f->client, 1008, "Max pending updates limit reached!");
    client_close(other);
    fixture_destroy(f);
}

static void slow_reader_of_latest_values_gets_the_newest(void **state)
{
    (void)state;
    struct fixture *f = fixture_create("queue_bytes_max", "1048576");
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE
                             ",\"scope\":\"LATEST_TELEMETRY\",\"keys\":\"big\"}]}");
    let_subscribe();
    flood(f, "big", 3000); /* 1.5 MB */
    publish_number("big", 20000, 7);
    struct ws_frame frame;
    int frames = 0;
    do {
        assert_true(ws_client_next(f->client, WS_CLIENT_DEADLINE_MS, &frame));
        assert_int_equal(frame.opcode & ~1, 0); /* texts and their continuations */
        frames++;
    } while (!memmem(frame.payload, frame.len, "\"big\":20000}", 12));
    assert_true(frames < 2000);
    assert_int_equal(metric(f, PS_METRIC_WS_SLOW_READERS_CLOSED), 0);
    assert_true(metric(f, PS_METRIC_WS_UPDATES_COALESCED) > 0);
    fixture_destroy(f);
}

static void large_snapshot_arrives_whole_in_fragments(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(NULL, NULL);
    struct ps_points points = { .key = strdup("a") };
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 1 };
    for (int64_t i = 0; i < 20000; i++)
        assert_int_equal(ps_points_add(&points, T0 + i, &value), PS_OK);
    fake.latest = &points;
    f->client = client_open(f, "/api/ws?token=good");
    ws_client_say(f->client, "{\"cmds\":[{\"cmdId\":4,\"type\":\"TIMESERIES_HISTORY\"," DEVICE
                             ",\"keys\":\"a\",\"startTs\":0,\"endTs\":9}]}");
    run_job();
    struct ps_buf whole = { 0 };
    struct ws_frame frame;
    int fragments = 0;
    do {
        assert_true(ws_client_next(f->client, WS_CLIENT_DEADLINE_MS, &frame));
        assert_int_equal(frame.opcode, fragments++ ? 0 : WS_TEXT);
        ps_buf_put(&whole, frame.payload, frame.len);
    } while (!frame.final);
    assert_true(fragments > 1);
    size_t pairs = 0;
    for (const char *at = ps_buf_cstr(&whole); (at = strstr(at, ",\"1\"]")); at++)
        pairs++;
    assert_int_equal(pairs, 20000);
    const char *end = "\"latestValues\":{\"a\":1719830419999}}";
    assert_string_equal(ps_buf_cstr(&whole) + whole.len - strlen(end), end);
    ps_buf_deinit(&whole);
    fixture_destroy(f);
    ps_points_deinit(&points);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscription_in_the_first_frame_gets_snapshot_then_updates),
        cmocka_unit_test(legacy_endpoint_and_envelope_serve_empty_devices),
        cmocka_unit_test(attributes_are_pushed_and_deletions_shown),
        cmocka_unit_test(history_is_answered_once),
        cmocka_unit_test(errors_end_nothing_else),
        cmocka_unit_test(nothing_between_registration_and_snapshot_is_lost),
        cmocka_unit_test(buffer_that_overflows_makes_the_snapshot_be_read_again),
        cmocka_unit_test(watches_are_shared_and_stop_with_the_last_subscription),
        cmocka_unit_test(live_cmd_id_sent_again_replaces_its_subscription),
        cmocka_unit_test(answer_for_a_replaced_subscription_is_dropped),
        cmocka_unit_test(session_gone_before_its_answers_harms_nobody),
        cmocka_unit_test(question_of_a_session_that_is_gone_is_given_up),
        cmocka_unit_test(full_readers_are_asked_again),
        cmocka_unit_test(session_occupies_only_some_readers),
        cmocka_unit_test(sessions_close_with_the_contract_s_codes),
        cmocka_unit_test(unparseable_first_frame_closes_with_the_parser_s_words),
        cmocka_unit_test(frame_over_the_limit_closes_with_1009_and_one_at_it_does_not),
        cmocka_unit_test(frame_in_fragments_is_one_frame),
        cmocka_unit_test(silence_before_authentication_ends_the_session),
        cmocka_unit_test(pings_come_and_silence_is_death),
        cmocka_unit_test(revoked_token_ends_the_session),
        cmocka_unit_test(sessions_beyond_the_limit_are_refused),
        cmocka_unit_test(plain_http_is_told_to_upgrade),
        cmocka_unit_test(server_that_stops_says_going_away),
        cmocka_unit_test(slow_reader_of_every_point_is_closed_and_others_are_not),
        cmocka_unit_test(slow_reader_of_latest_values_gets_the_newest),
        cmocka_unit_test(large_snapshot_arrives_whole_in_fragments),
    };
    return cmocka_run_group_tests_name("transport_ws.server", tests, NULL, NULL);
}
