/* Two tenants on one real shard: the flood of one neither delays the other nor fills its room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "actors/shard_state.h"
#include "unit/actors/actors_world.h"

#define NO_NODES "{firstNodeIndex:null,nodes:[],connections:[]}"

enum { CROWD = 1000, MAILBOX_BYTES_MAX = 64 << 20 };

/* One shard, and a second tenant that has the same chain. Entities need no row in the database:
 * assets are what is said of them. */
struct neighbours {
    struct actors_world world;
    struct ps_uuid other;
};

static void neighbours_init(struct neighbours *n, const char *chain)
{
    actors_world_init(&n->world);
    n->world.settings.shards = 1;
    struct ps_uuid *tenant = &n->world.entities->tenant, own = *tenant;
    n->other = ps_uuid_random();
    actors_world_chain(&n->world, chain);
    *tenant = n->other;
    actors_world_chain(&n->world, chain);
    *tenant = own;
}

static struct ps_entity_ref asset_of(const struct ps_uuid *tenant)
{
    struct ps_entity_ref ref = { .tenant = *tenant };
    ref.entity = (struct ps_entity_id){ .type = PS_ENTITY_ASSET, .id = ps_uuid_random() };
    return ref;
}

static void post(struct neighbours *n, const struct ps_entity_ref *ref, int64_t value,
                 struct sent *sent, unsigned *order)
{
    sent->order = order;
    assert_int_equal(actors_world_post(&n->world,
                                       actors_world_msg(&n->world, ref, PS_MSG_POST_TELEMETRY,
                                                        "temp", value, 1000 + value),
                                       sent),
                     PS_OK);
}

static void a_crowd_of_devices_does_not_delay_another_tenants_one(void **state)
{
    (void)state;
    enum { EACH = 10, ONE_SENDS = 300 };
    struct neighbours n;
    struct held_shard held;
    unsigned warm = 0, order = 0;
    struct sent *crowd_sent = calloc(CROWD * EACH, sizeof *crowd_sent);
    struct sent *one_sent = calloc(ONE_SENDS, sizeof *one_sent);
    struct ps_entity_ref *crowd = calloc(CROWD, sizeof *crowd);
    neighbours_init(&n, ps_default_root_chain_metadata());
    actors_world_start(&n.world);
    struct ps_entity_ref one = asset_of(&n.other);
    for (unsigned i = 0; i < CROWD; i++) { /* all of them in memory */
        crowd[i] = asset_of(&n.world.entities->tenant);
        post(&n, &crowd[i], 0, &crowd_sent[i], &warm);
    }
    post(&n, &one, 0, &one_sent[0], &warm);
    actors_world_wait(&n.world, &warm, CROWD + 1);

    actors_world_hold_shard(&n.world, &held);
    for (unsigned i = 0; i < CROWD * EACH; i++)
        post(&n, &crowd[i % CROWD], i / CROWD, &crowd_sent[i], &order);
    for (unsigned i = 0; i < ONE_SENDS; i++)
        post(&n, &one, i, &one_sent[i], &order);
    actors_world_let_shard(&held);
    actors_world_wait(&n.world, &order, CROWD * EACH + ONE_SENDS);

    for (unsigned i = 0; i < ONE_SENDS; i++) {
        assert_int_equal(one_sent[i].status, PS_OK);
        assert_true(i == 0 || one_sent[i].place > one_sent[i - 1].place);
    }
    for (unsigned i = CROWD; i < CROWD * EACH; i++)
        assert_true(crowd_sent[i].place > crowd_sent[i - CROWD].place);
    /* half of the time each: about as many of the crowd's, never the ten thousand that came first
     */
    unsigned before = one_sent[ONE_SENDS - 1].place - ONE_SENDS;
    if (before > CROWD * EACH / 3)
        fail_msg("%u messages of the crowd went before", before);
    actors_world_check_balance(&n.world);
    actors_world_deinit(&n.world);
    free(crowd);
    free(one_sent);
    free(crowd_sent);
}

/* ---- control before data ---- */

struct look {
    struct ps_actor_call call; /* first */
    struct ps_uuid busy;
    uint32_t waiting; /* messages of `busy` when the call ran */
    sem_t finished;
};

static void look_run(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct look *look = (struct look *)call;
    look->waiting = ps_directory_find(&actor->shard->directory, &look->busy)->mailbox.count;
    sem_post(&look->finished);
}

static void a_call_goes_before_messages_that_came_first(void **state)
{
    (void)state;
    enum { MESSAGES = 500 };
    struct neighbours n;
    struct held_shard held;
    unsigned order = 0;
    struct sent *sent = calloc(MESSAGES, sizeof *sent);
    neighbours_init(&n, NO_NODES);
    actors_world_start(&n.world);
    struct ps_entity_ref busy = asset_of(&n.other), quiet = asset_of(&n.other);
    post(&n, &busy, 0, &sent[0], &order);
    post(&n, &quiet, 0, &sent[1], &order);
    actors_world_wait(&n.world, &order, 2);

    actors_world_hold_shard(&n.world, &held);
    for (unsigned i = 0; i < MESSAGES; i++)
        post(&n, &busy, i, &sent[i], &order);
    struct look look = {
        .call = { .tenant = quiet.tenant, .entity = quiet.entity, .run = look_run },
        .busy = busy.entity.id
    };
    sem_init(&look.finished, 0, 0);
    ps_actors_call(n.world.actors, &look.call);
    actors_world_let_shard(&held);
    held_wait(&look.finished);
    assert_int_equal(look.waiting, MESSAGES);
    actors_world_wait(&n.world, &order, MESSAGES + 2);
    actors_world_deinit(&n.world);
    free(sent);
}

/* ---- room in the mailboxes ---- */

static struct ps_msg *large_msg(struct neighbours *n, const struct ps_entity_ref *ref)
{
    char *bytes = calloc(1, PS_MSG_DATA_BYTES_MAX);
    struct ps_msg_content content = { .type = PS_MSG_POST_TELEMETRY,
                                      .data_kind = PS_DATA_BINARY,
                                      .data = bytes,
                                      .data_len = PS_MSG_DATA_BYTES_MAX };
    struct ps_msg *msg;
    assert_int_equal(ps_msg_create(&ref->tenant, &ref->entity, &PS_UUID_NULL, 0, &content, &msg),
                     PS_OK);
    msg->counted = true;
    ps_metrics_msg_received(n->world.settings.metrics, 3, PS_METRIC_MQTT_MESSAGES, 1);
    free(bytes);
    return msg;
}

static void a_flood_is_refused_and_its_neighbours_are_not(void **state)
{
    (void)state;
    enum { LARGE = 200, SMALL = 50 };
    struct neighbours n;
    struct held_shard held;
    unsigned order = 0, taken = 0;
    struct sent large[LARGE] = { 0 }, small[SMALL] = { 0 };
    neighbours_init(&n, NO_NODES);
    n.world.settings.mailbox = (struct ps_mailbox_limits){ 100000, 200 << 20 };
    actors_world_start(&n.world);
    struct ps_entity_ref flood = asset_of(&n.world.entities->tenant), one = asset_of(&n.other);
    actors_world_hold_shard(&n.world, &held);
    for (unsigned i = 0; i < LARGE; i++) {
        large[i].order = &order;
        assert_int_equal(actors_world_post(&n.world, large_msg(&n, &flood), &large[i]), PS_OK);
    }
    for (unsigned i = 0; i < SMALL; i++)
        post(&n, &one, i, &small[i], &order);
    actors_world_let_shard(&held);
    actors_world_wait(&n.world, &order, LARGE + SMALL);
    for (unsigned i = 0; i < LARGE; i++) {
        taken += large[i].status == PS_OK;
        assert_int_equal(large[i].status, i < taken ? PS_OK : PS_EBUSY);
    }
    /* as much as it leaves free, and the message that reached it */
    assert_in_range(taken, MAILBOX_BYTES_MAX / 2 / PS_MSG_DATA_BYTES_MAX - 1,
                    MAILBOX_BYTES_MAX / 2 / PS_MSG_DATA_BYTES_MAX + 1);
    for (unsigned i = 0; i < SMALL; i++)
        assert_int_equal(small[i].status, PS_OK);
    assert_int_equal(actors_world_metric(&n.world, PS_METRIC_REFUSED_BUSY), LARGE - taken);
    actors_world_check_balance(&n.world);
    actors_world_deinit(&n.world);
}

/* What the shard's own thread does, as a connection would. */
struct reading {
    struct ps_port_item item; /* first */
    struct neighbours *n;
    struct source {
        struct ps_shard_task task; /* first */
        struct ps_session session;
        struct ps_entity_ref ref;
        struct reading *reading;
        unsigned place; /* which was asked first */
        bool room_when_asked;
    } flood, one;
    unsigned asked, posted;
    bool one_had_room;
    size_t flood_bytes;
    sem_t finished;
};

static void source_asked(struct ps_shard_task *task)
{
    struct source *source = (struct source *)task;
    source->room_when_asked = ps_session_has_room(&source->session);
    source->place = ++source->reading->asked;
    ps_session_close(&source->session);
    if (source->reading->asked == 2)
        sem_post(&source->reading->finished);
}

static void source_open(struct reading *reading, struct source *source, struct ps_shard *shard,
                        const struct ps_uuid *tenant)
{
    source->ref = asset_of(tenant);
    source->reading = reading;
    source->task.run = source_asked;
    ps_session_open(&source->session, ps_shard_actor(shard, tenant, &source->ref.entity));
}

static void read_until_full(struct ps_port_item *item, void *owner)
{
    struct reading *reading = (struct reading *)item;
    struct neighbours *n = reading->n;
    source_open(reading, &reading->flood, owner, &n->world.entities->tenant);
    source_open(reading, &reading->one, owner, &n->other);
    while (ps_session_has_room(&reading->flood.session)) {
        struct ps_msg *msg = large_msg(n, &reading->flood.ref);
        assert_int_equal(ps_session_post(&reading->flood.session, &msg), PS_OK);
        reading->posted++;
    }
    reading->flood_bytes = reading->flood.session.actor->share->mailbox_bytes;
    reading->one_had_room = ps_session_has_room(&reading->one.session);
    ps_session_stall(&reading->flood.session, &reading->flood.task);
    ps_session_stall(&reading->one.session, &reading->one.task);
}

static void sources_of_a_full_tenant_stall_alone_and_are_asked_again(void **state)
{
    (void)state;
    struct neighbours n;
    neighbours_init(&n, NO_NODES);
    n.world.settings.mailbox = (struct ps_mailbox_limits){ 100000, 200 << 20 };
    actors_world_start(&n.world);
    struct reading reading = { .item.run = read_until_full, .n = &n };
    sem_init(&reading.finished, 0, 0);
    ps_port_post(ps_shard_port(ps_actors_shard(n.world.actors, 0)), &reading.item);
    held_wait(&reading.finished);
    assert_true(reading.one_had_room);
    assert_in_range(reading.flood_bytes, MAILBOX_BYTES_MAX / 2,
                    MAILBOX_BYTES_MAX / 2 + PS_MSG_DATA_BYTES_MAX * 2);
    assert_int_equal(reading.one.place, 1); /* though it stalled later */
    assert_true(reading.one.room_when_asked);
    assert_true(reading.flood.room_when_asked);
    actors_world_stop(&n.world);
    assert_int_equal(actors_world_metric(&n.world, PS_METRIC_MSG_STORED), reading.posted);
    actors_world_check_balance(&n.world);
    actors_world_deinit(&n.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_of_devices_does_not_delay_another_tenants_one),
        cmocka_unit_test(a_call_goes_before_messages_that_came_first),
        cmocka_unit_test(a_flood_is_refused_and_its_neighbours_are_not),
        cmocka_unit_test(sources_of_a_full_tenant_stall_alone_and_are_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
