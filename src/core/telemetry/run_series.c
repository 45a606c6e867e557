/* run_series: the catalogue rows that a range file has copies of: packed in pages, as they come; in
 * files of earlier versions, and in those that fsck has saved, as rows of a table. */
#include "core/telemetry/run_file.h"

/* ---- rows ---- */

static void take_series(struct ps_stmt *stmt, struct ps_run_series *series)
{
    *series = (struct ps_run_series){
        .id = (uint32_t)ps_stmt_int(stmt, 0),
        .entity = { ps_run_series_type(ps_stmt_int(stmt, 1)), ps_stmt_uuid(stmt, 2) },
    };
    series->key = ps_stmt_bytes(stmt, 3, &series->key_len);
    if (!series->key)
        series->key = "";
}

static enum ps_status
visit_rows(struct ps_run_file *file,
           enum ps_status (*visit)(void *arg, const struct ps_run_series *series), void *arg)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(
        ps_run_file_db(file), "SELECT id, entity_type, entity, key FROM series ORDER BY id", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct ps_run_series series;
        take_series(stmt, &series);
        st = visit(arg, &series);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st; /* the visitor's own: nothing is wrong with the file */
        }
    }
    return ps_run_file_failed(file, st);
}

enum ps_status ps_run_file_put_series(struct ps_run_file *file, const struct ps_run_series *series)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(
        ps_run_file_db(file),
        "INSERT OR REPLACE INTO series(id, entity_type, entity, key) VALUES(?, ?, ?, ?)", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    ps_stmt_bind_int(stmt, 1, series->id);
    ps_stmt_bind_int(stmt, 2, series->entity.type);
    ps_stmt_bind_uuid(stmt, 3, &series->entity.id);
    ps_stmt_bind_text(stmt, 4, series->key, series->key_len);
    return ps_run_file_failed(file, ps_stmt_run(stmt));
}

/* ---- pages ---- */

static const char page_table[] =
    "CREATE TABLE series_page(id INTEGER PRIMARY KEY, body BLOB NOT NULL)";

/* The table comes with the first page: files of earlier versions have none. */
static enum ps_status has_pages(struct ps_run_file *file, bool *out)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(
        ps_run_file_db(file),
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'series_page'", &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, out);
    if (st == PS_OK && *out)
        ps_stmt_reset(stmt);
    return ps_run_file_failed(file, st);
}

enum ps_status ps_run_file_series_pages(struct ps_run_file *file,
                                        enum ps_status (*visit)(void *arg, const void *body,
                                                                size_t len),
                                        void *arg)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st = has_pages(file, &row);
    if (st != PS_OK || !row)
        return st;
    st = ps_db_prepare(ps_run_file_db(file), "SELECT body FROM series_page ORDER BY id", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *body = ps_stmt_bytes(stmt, 0, &len);
        st = visit(arg, body ? body : "", len);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return ps_run_file_failed(file, st);
}

enum ps_status ps_run_file_put_series_page(struct ps_run_file *file, const struct ps_buf *page)
{
    struct ps_stmt *stmt;
    bool has = false;
    enum ps_status st = has_pages(file, &has);
    if (st == PS_OK && !has)
        st = ps_run_file_failed(file, ps_db_exec(ps_run_file_db(file), page_table));
    if (st != PS_OK)
        return st;
    st = ps_db_prepare(ps_run_file_db(file), "INSERT INTO series_page(body) VALUES(?)", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    ps_stmt_bind_blob_borrowed(stmt, 1, page->data, page->len);
    return ps_run_file_failed(file, ps_stmt_run(stmt));
}

/* ---- both ---- */

struct page_visit {
    enum ps_status (*visit)(void *arg, const struct ps_run_series *series);
    void *arg;
    bool damaged;
};

static enum ps_status visit_page(void *arg, const void *body, size_t len)
{
    struct page_visit *to = arg;
    struct ps_series_page page;
    struct ps_run_series series;
    enum ps_status st = ps_series_page_open(&page, body, len);
    while (st == PS_OK && (st = ps_series_page_next(&page, &series)) == PS_OK) {
        enum ps_status visited = to->visit(to->arg, &series);
        if (visited != PS_OK)
            return visited;
    }
    to->damaged = to->damaged || st == PS_EPROTO;
    return PS_OK;
}

enum ps_status ps_run_file_series(struct ps_run_file *file,
                                  enum ps_status (*visit)(void *arg,
                                                          const struct ps_run_series *series),
                                  void *arg)
{
    struct page_visit to = { .visit = visit, .arg = arg };
    enum ps_status st = visit_rows(file, visit, arg);
    if (st == PS_OK)
        st = ps_run_file_series_pages(file, visit_page, &to);
    return st == PS_OK && to.damaged ? ps_run_file_damaged(file, 0, "a damaged page of series")
                                     : st;
}
