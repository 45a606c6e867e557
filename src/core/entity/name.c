#include "core/entity/name.h"

#include <stdbool.h>
#include <string.h>

/* Bytes that begin a character: the JSON reader let only UTF-8 in. */
static size_t character_count(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t trimmed_count(const char *text)
{
    while (is_blank(*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    return character_count(text, len);
}

enum ps_status ps_name_check_optional(const char *text, const char *field, struct ps_text *why)
{
    if (!text || trimmed_count(text) <= PS_NAME_LEN_MAX)
        return PS_OK;
    ps_text_set(why, "Validation error: %s length must be equal or less than %d", field,
                PS_NAME_LEN_MAX);
    return PS_EINVAL;
}

enum ps_status ps_name_check(const char *name, const char *type, const char *field,
                             struct ps_text *why)
{
    if (!name || trimmed_count(name) == 0) {
        ps_text_set(why, "%s %s should be specified!", type, field);
        return PS_EINVAL;
    }
    return ps_name_check_optional(name, field, why);
}
