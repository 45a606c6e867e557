#include "core/upkeep/backup_list.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

void ps_backup_list_deinit(struct ps_backup_list *list)
{
    free(list->files);
    *list = (struct ps_backup_list){ 0 };
}

enum ps_status ps_backup_list_add(struct ps_backup_list *list, const struct ps_backup_file *file)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        struct ps_backup_file *files = realloc(list->files, cap * sizeof *files);
        if (!files)
            return PS_ENOMEM;
        list->files = files;
        list->cap = cap;
    }
    list->files[list->count++] = *file;
    return PS_OK;
}

const struct ps_backup_file *ps_backup_list_find(const struct ps_backup_list *list,
                                                 const char *path)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->files[i].path, path) == 0)
            return &list->files[i];
    return NULL;
}

/* ---- reading ---- */

/* "name" or "telemetry/name": what a backup holds, and nothing that leads elsewhere. */
static bool is_safe_name(const char *name)
{
    static const char folder[] = "telemetry/";
    if (strncmp(name, folder, sizeof folder - 1) == 0)
        name += sizeof folder - 1;
    return *name && *name != '.' && !strchr(name, '/') && strlen(name) < PS_BACKUP_NAME_SIZE - 32;
}

static bool take_name(const json_t *file, const char *key, char out[PS_BACKUP_NAME_SIZE])
{
    const char *text = json_string_value(json_object_get(file, key));
    if (!text || !is_safe_name(text))
        return false;
    snprintf(out, PS_BACKUP_NAME_SIZE, "%s", text);
    return true;
}

static bool take_hex(const json_t *file, const char *key, uint64_t *out)
{
    const char *text = json_string_value(json_object_get(file, key));
    char *end = NULL;
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *out = strtoull(text, &end, 16);
    return true;
}

static bool take_file(const json_t *json, struct ps_backup_file *out)
{
    *out =
        (struct ps_backup_file){ .sum.bytes = json_integer_value(json_object_get(json, "bytes")) };
    return take_name(json, "path", out->path) && take_name(json, "stored", out->stored) &&
           take_hex(json, "xxh3", &out->sum.xxh3) && take_hex(json, "content", &out->content) &&
           out->sum.bytes >= 0;
}

static enum ps_status take_files(const json_t *files, struct ps_backup_list *out)
{
    size_t count = json_array_size(files);
    if (count == 0 || count > PS_BACKUP_FILES_MAX)
        return PS_EPROTO;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < count && st == PS_OK; i++) {
        struct ps_backup_file file;
        st = take_file(json_array_get(files, i), &file) ? PS_OK : PS_EPROTO;
        if (st == PS_OK && ps_backup_list_find(out, file.path))
            st = PS_EPROTO;
        if (st == PS_OK)
            st = ps_backup_list_add(out, &file);
    }
    return st;
}

static enum ps_status take_list(const json_t *root, struct ps_backup_list *out)
{
    if (json_integer_value(json_object_get(root, "format")) != PS_BACKUP_FORMAT)
        return PS_EUNSUPPORTED;
    out->schema = json_integer_value(json_object_get(root, "schema"));
    out->created_ms = json_integer_value(json_object_get(root, "created_ms"));
    const char *program = json_string_value(json_object_get(root, "program"));
    snprintf(out->program, sizeof out->program, "%s", program ? program : "");
    const char *installation = json_string_value(json_object_get(root, "installation"));
    snprintf(out->installation, sizeof out->installation, "%s", installation ? installation : "");
    return take_files(json_object_get(root, "files"), out);
}

enum ps_status ps_backup_list_read(const char *folder, struct ps_backup_list *out,
                                   struct ps_text *why)
{
    struct ps_path path;
    json_error_t error;
    *out = (struct ps_backup_list){ 0 };
    enum ps_status st = ps_path_set(&path, why, "%s/" PS_BACKUP_LIST_NAME, folder);
    if (st != PS_OK)
        return st;
    if (access(path.data, R_OK) != 0)
        return ps_file_failed(path.data, errno, why);
    json_t *root = json_load_file(path.data, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        ps_text_set(why, "%s: line %d: %s", path.data, error.line, error.text);
        return PS_EPROTO;
    }
    st = take_list(root, out);
    json_decref(root);
    if (st == PS_OK)
        return PS_OK;
    ps_text_set(why, "%s: %s", path.data,
                st == PS_EUNSUPPORTED ? "written by another version of this program"
                                      : "not the list of a backup");
    ps_backup_list_deinit(out);
    return st;
}

/* ---- writing ---- */

static json_t *hex(uint64_t value)
{
    return json_sprintf("%016" PRIx64, value);
}

static json_t *make_time(int64_t ms)
{
    struct tm tm;
    char text[32];
    time_t seconds = (time_t)(ms / 1000);
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static json_t *make_files(const struct ps_backup_list *list)
{
    json_t *files = json_array();
    for (size_t i = 0; files && i < list->count; i++) {
        const struct ps_backup_file *file = &list->files[i];
        json_t *json = json_pack("{s:s, s:s, s:I, s:o, s:o}", "path", file->path, "stored",
                                 file->stored, "bytes", (json_int_t)file->sum.bytes, "xxh3",
                                 hex(file->sum.xxh3), "content", hex(file->content));
        if (!json || json_array_append_new(files, json) != 0) {
            json_decref(files);
            return NULL;
        }
    }
    return files;
}

static enum ps_status write_synced(const char *path, const char *text, struct ps_text *why)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return ps_file_failed(path, errno, why);
    size_t len = strlen(text);
    errno = EIO;
    bool written = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    enum ps_status st = written ? PS_OK : ps_file_failed(path, errno, why);
    close(fd);
    return st;
}

static enum ps_status replace(const char *folder, const char *text, struct ps_text *why)
{
    struct ps_path path, partial;
    enum ps_status st = ps_path_set(&path, why, "%s/" PS_BACKUP_LIST_NAME, folder);
    if (st == PS_OK)
        st = ps_path_set(&partial, why, "%s/" PS_BACKUP_LIST_NAME ".partial", folder);
    if (st == PS_OK)
        st = write_synced(partial.data, text, why);
    if (st == PS_OK)
        st = ps_file_rename(partial.data, path.data, why);
    return st == PS_OK ? ps_folder_sync(folder, why) : st;
}

enum ps_status ps_backup_list_write(const char *folder, const struct ps_backup_list *list,
                                    struct ps_text *why)
{
    json_t *root = json_pack(
        "{s:i, s:s, s:I, s:I, s:o, s:s, s:o}", "format", PS_BACKUP_FORMAT, "program", list->program,
        "schema", (json_int_t)list->schema, "created_ms", (json_int_t)list->created_ms, "created",
        make_time(list->created_ms), "installation", list->installation, "files", make_files(list));
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    enum ps_status st = text ? replace(folder, text, why) : PS_ENOMEM;
    free(text);
    json_decref(root);
    return st;
}
