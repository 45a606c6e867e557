#include "powercut/described.h"

#include "core/telemetry/block.h"
#include "core/telemetry/id_set.h"

static enum ps_status note(void *arg, const struct ps_run_series *series)
{
    return ps_id_set_add(arg, series->id) ? PS_OK : PS_ENOMEM;
}

static enum ps_status check_blocks(struct ps_run_file *file, struct ps_block_reader *block,
                                   const struct ps_id_set *described, uint32_t *missing)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(ps_run_file_db(file), "SELECT body FROM block", &stmt);
    while (st == PS_OK && (st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *body = ps_stmt_bytes(stmt, 0, &len);
        st = ps_block_open(block, body, len);
        for (size_t i = 0; st == PS_OK && i < ps_block_count(block); i++) {
            if (!ps_id_set_has(described, ps_block_series(block, i)))
                *missing = ps_block_series(block, i);
        }
        if (st != PS_OK)
            ps_stmt_reset(stmt);
    }
    return st;
}

enum ps_status described_check(struct ps_run_file *file, uint32_t *missing)
{
    struct ps_id_set described = { 0 };
    struct ps_block_reader block = { 0 };
    *missing = 0;
    enum ps_status st = ps_run_file_begin_read(file);
    if (st != PS_OK)
        return st;
    st = ps_run_file_series(file, note, &described);
    if (st == PS_OK)
        st = check_blocks(file, &block, &described, missing);
    ps_run_file_end_read(file);
    ps_block_reader_deinit(&block);
    ps_id_set_deinit(&described);
    return st;
}
