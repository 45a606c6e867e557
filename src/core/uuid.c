#include "core/uuid.h"

#include <errno.h>
#include <sys/random.h>

const struct ps_uuid PS_UUID_NULL = { { 0x13, 0x81, 0x40, 0x00, 0x1d, 0xd2, 0x11, 0xb2, 0x80, 0x80,
                                        0x80, 0x80, 0x80, 0x80, 0x80, 0x80 } };

struct ps_uuid ps_uuid_random(void)
{
    struct ps_uuid uuid;
    ssize_t got;
    do {
        got = getrandom(uuid.bytes, sizeof uuid.bytes, 0);
    } while (got < 0 && errno == EINTR);
    PS_ASSERT(got == (ssize_t)sizeof uuid.bytes);
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40); /* version 4, RFC 9562 section 5.4 */
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool hyphen_goes_at(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

enum ps_status ps_uuid_parse(const char *text, size_t len, struct ps_uuid *out)
{
    if (len != PS_UUID_TEXT_SIZE - 1)
        return PS_EINVAL;
    struct ps_uuid uuid;
    size_t byte = 0;
    for (size_t i = 0; i < len;) {
        if (hyphen_goes_at(i)) {
            if (text[i++] != '-')
                return PS_EINVAL;
            continue;
        }
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return PS_EINVAL;
        uuid.bytes[byte++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *out = uuid;
    return PS_OK;
}

void ps_uuid_format(const struct ps_uuid *uuid, char out[PS_UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < sizeof uuid->bytes; i++) {
        if (hyphen_goes_at(at))
            out[at++] = '-';
        out[at++] = digits[uuid->bytes[i] >> 4];
        out[at++] = digits[uuid->bytes[i] & 15];
    }
    out[at] = '\0';
}

bool ps_uuid_is_null(const struct ps_uuid *uuid)
{
    static const struct ps_uuid zero;
    return ps_uuid_equal(uuid, &PS_UUID_NULL) || ps_uuid_equal(uuid, &zero);
}

static const struct entity_type_name {
    const char *name, *sentence;
} entity_type_names[] = { [PS_ENTITY_NONE] = { "NONE", "Entity" },
#define PS_ENTITY_NAME(upper, sentence) [PS_ENTITY_##upper] = { #upper, sentence },
                          PS_ENTITY_TYPE_LIST(PS_ENTITY_NAME)
#undef PS_ENTITY_NAME
};

const char *ps_entity_type_name(enum ps_entity_type type)
{
    return entity_type_names[type].name;
}

const char *ps_entity_type_sentence(enum ps_entity_type type)
{
    return entity_type_names[type].sentence;
}

enum ps_status ps_entity_type_parse(const char *text, size_t len, enum ps_entity_type *out)
{
    for (size_t i = 1; i < sizeof entity_type_names / sizeof *entity_type_names; i++) {
        const char *name = entity_type_names[i].name;
        if (strlen(name) == len && memcmp(name, text, len) == 0) {
            *out = (enum ps_entity_type)i;
            return PS_OK;
        }
    }
    return PS_EINVAL;
}
