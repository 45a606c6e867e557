/* verdict: see the header. The request line is "METHOD target HTTP/1.1"; the target is a path, or
 * the absolute form "http://host/path" (RFC 9112, 3.2). Empty lines before it are skipped (2.2). */
#include "transport/front/verdict.h"

#include <stdbool.h>
#include <string.h>

static const char websocket_path[] = "/api/ws";

static bool is_method_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* An empty line ends a header, with or without carriage returns. */
static bool header_complete(const char *bytes, size_t len)
{
    const char *end = bytes + len;
    const char *line_end = memchr(bytes, '\n', len);

    while (line_end) {
        const char *next = line_end + 1;
        if (next < end && *next == '\r')
            next++;
        if (next < end && *next == '\n')
            return true;
        line_end = next < end ? memchr(next, '\n', (size_t)(end - next)) : NULL;
    }
    return false;
}

/* Where the path of the target starts: after "scheme://host" if that is there. */
static const char *path_start(const char *target, const char *end)
{
    const char *scheme_end = memmem(target, (size_t)(end - target), "://", 3);
    if (*target == '/' || !scheme_end)
        return target;
    const char *slash = memchr(scheme_end + 3, '/', (size_t)(end - scheme_end - 3));
    return slash ? slash : end;
}

static bool is_websocket_path(const char *path, const char *end)
{
    size_t len = sizeof websocket_path - 1;
    if ((size_t)(end - path) < len || memcmp(path, websocket_path, len) != 0)
        return false;
    const char *after = path + len;
    return after == end || *after == '/' || *after == '?' || *after == '#';
}

static enum ps_front_verdict judge_request_line(const char *line, const char *end)
{
    const char *method_end = memchr(line, ' ', (size_t)(end - line));
    if (!method_end)
        return PS_FRONT_HTTP; /* malformed: the HTTP server says so */
    const char *target = method_end + 1;
    const char *target_end = memchr(target, ' ', (size_t)(end - target));
    if (!target_end)
        target_end = end;
    if (target == target_end)
        return PS_FRONT_HTTP;
    return is_websocket_path(path_start(target, target_end), target_end) ? PS_FRONT_WEBSOCKET
                                                                         : PS_FRONT_HTTP;
}

enum ps_front_verdict ps_front_judge(const char *bytes, size_t len)
{
    const char *line = bytes, *end = bytes + len;
    while (line < end && (*line == '\r' || *line == '\n'))
        line++;
    if (line == end)
        return len >= PS_FRONT_PEEK_SIZE ? PS_FRONT_CLOSE : PS_FRONT_MORE;
    if (!is_method_char(*line))
        return PS_FRONT_CLOSE;
    if (len < PS_FRONT_PEEK_SIZE && !header_complete(line, (size_t)(end - line)))
        return PS_FRONT_MORE;

    const char *line_end = memchr(line, '\n', (size_t)(end - line));
    if (!line_end)
        return PS_FRONT_HTTP;
    if (line_end > line && line_end[-1] == '\r')
        line_end--;
    return judge_request_line(line, line_end);
}
