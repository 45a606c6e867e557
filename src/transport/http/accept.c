#include "transport/http/accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { WEIGHT_ONE = 1000 };

static const char blanks[] = " \t";

/* "0.25": thousandths, or -1. One digit before the point, at most three behind. */
static int parse_weight(const char *text, size_t len)
{
    if (len == 0 || len > 5 || (text[0] != '0' && text[0] != '1') || (len > 1 && text[1] != '.'))
        return -1;
    int weight = (text[0] - '0') * WEIGHT_ONE;
    int unit = WEIGHT_ONE / 10;
    for (size_t i = 2; i < len; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        weight += (text[i] - '0') * unit;
    }
    return weight <= WEIGHT_ONE ? weight : -1;
}

static size_t trimmed(const char *text, size_t len)
{
    while (len > 0 && strchr(blanks, text[len - 1]))
        len--;
    return len;
}

/* The q of ";charset=utf-8;q=0.5", [at, end). */
static int weight_of(const char *at, const char *end)
{
    int weight = WEIGHT_ONE;
    while (at < end) {
        at += 1 + strspn(at + 1, blanks); /* behind the ';' */
        size_t len = 0;
        while (at + len < end && at[len] != ';')
            len++;
        if (len > 2 && (at[0] == 'q' || at[0] == 'Q') && at[1] == '=')
            weight = parse_weight(at + 2, trimmed(at + 2, len - 2));
        at += len;
    }
    return weight;
}

/* 3: the type itself, 2: all of its kind, 1: anything; 0: it does not fit. */
static int fit(const char *range, size_t len, const char *type)
{
    size_t kind = (size_t)(strchr(type, '/') - type) + 1;
    if (len == strlen(type) && strncasecmp(range, type, len) == 0)
        return 3;
    if (len == kind + 1 && strncasecmp(range, type, kind) == 0 && range[kind] == '*')
        return 2;
    return len == 3 && memcmp(range, "*/*", 3) == 0;
}

static int rank(const char *accept, const char *type)
{
    int best = 0, weight = 0;
    while (*accept) {
        accept += strspn(accept, " \t,");
        const char *end = accept + strcspn(accept, ",");
        size_t len = strcspn(accept, ";,");
        int fits = fit(accept, trimmed(accept, len), type);
        int found = fits > best ? weight_of(accept + len, end) : -1;
        if (found >= 0) {
            best = fits;
            weight = found;
        }
        accept = end;
    }
    return weight;
}

bool ps_http_prefers(const char *accept, const char *type, const char *other)
{
    return accept && rank(accept, type) > rank(accept, other);
}
