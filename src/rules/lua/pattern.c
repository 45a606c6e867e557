#include "rules/lua/pattern.h"

#include <ctype.h>
#include <string.h>

enum op {
    OP_END,
    OP_CHAR,
    OP_ANY,
    OP_CLASS,
    OP_SET,
    OP_OPEN,     /* c: capture */
    OP_POSITION, /* c: capture */
    OP_CLOSE,    /* c: capture */
    OP_BACK,     /* c: capture */
    OP_BALANCE,  /* c, c2: the pair */
    OP_FRONTIER, /* from, to: the set */
    OP_AT_END,   /* '$' */
};

enum repeat { ONCE, OPTIONAL, GREEDY, GREEDY_SOME, LAZY };

enum { NO_CHOICE = UINT32_MAX };

/* --- characters --- */

static bool in_class(unsigned char c, unsigned char class)
{
    bool in;
    switch (tolower(class)) {
    case 'a':
        in = isalpha(c);
        break;
    case 'c':
        in = iscntrl(c);
        break;
    case 'd':
        in = isdigit(c);
        break;
    case 'g':
        in = isgraph(c);
        break;
    case 'l':
        in = islower(c);
        break;
    case 'p':
        in = ispunct(c);
        break;
    case 's':
        in = isspace(c);
        break;
    case 'u':
        in = isupper(c);
        break;
    case 'w':
        in = isalnum(c);
        break;
    case 'x':
        in = isxdigit(c);
        break;
    default:
        return class == c; /* a magic character made plain */
    }
    return isupper(class) ? !in : in;
}

/* text[from..to) is what stands between '[' and ']'. */
static bool in_set(const char *text, size_t from, size_t to, unsigned char c)
{
    bool negated = from < to && text[from] == '^';
    size_t i = negated ? from + 1 : from;
    while (i < to) {
        unsigned char low = (unsigned char)text[i];
        if (low == '%' && i + 1 < to) {
            if (in_class(c, (unsigned char)text[i + 1]))
                return !negated;
            i += 2;
        } else if (i + 2 < to && text[i + 1] == '-') {
            if (low <= c && c <= (unsigned char)text[i + 2])
                return !negated;
            i += 3;
        } else {
            if (low == c)
                return !negated;
            i++;
        }
    }
    return negated;
}

static bool one_matches(const struct ps_pattern *pattern, const struct ps_pattern_item *item,
                        unsigned char c)
{
    switch (item->op) {
    case OP_CHAR:
        return item->c == c;
    case OP_ANY:
        return true;
    case OP_CLASS:
        return in_class(c, item->c);
    default:
        return in_set(pattern->text, item->from, item->to, c);
    }
}

/* --- reading --- */

struct reader {
    const char *text;
    size_t at, len;
    struct ps_pattern *out;
    unsigned open[PS_PATTERN_CAPTURES_MAX]; /* captures not yet closed, innermost last */
    unsigned open_count;
    bool closed[PS_PATTERN_CAPTURES_MAX];
    const char *why;
};

static bool fail(struct reader *r, const char *why)
{
    r->why = why;
    return false;
}

static struct ps_pattern_item *add(struct reader *r, enum op op)
{
    struct ps_pattern_item *item = &r->out->items[r->out->item_count++];
    *item = (struct ps_pattern_item){ .op = (uint8_t)op };
    return item;
}

/* `at` stands behind the '['. */
static bool read_set(struct reader *r, struct ps_pattern_item *item)
{
    item->from = (uint32_t)r->at;
    size_t i = r->at;
    if (i < r->len && r->text[i] == '^')
        i++;
    do { /* a ']' in front is one of the set */
        if (i >= r->len)
            return fail(r, "malformed pattern (missing ']')");
        if (r->text[i] == '%')
            i++;
        i++;
    } while (i >= r->len || r->text[i] != ']');
    item->to = (uint32_t)i;
    r->at = i + 1;
    return true;
}

static bool read_open(struct reader *r)
{
    unsigned capture = r->out->capture_count;
    if (capture == PS_PATTERN_CAPTURES_MAX)
        return fail(r, "too many captures");
    r->out->capture_count++;
    if (r->at < r->len && r->text[r->at] == ')') {
        r->at++;
        r->closed[capture] = true;
        add(r, OP_POSITION)->c = (uint8_t)capture;
        return true;
    }
    r->open[r->open_count++] = capture;
    add(r, OP_OPEN)->c = (uint8_t)capture;
    return true;
}

static bool read_close(struct reader *r)
{
    if (r->open_count == 0)
        return fail(r, "invalid pattern capture");
    unsigned capture = r->open[--r->open_count];
    r->closed[capture] = true;
    add(r, OP_CLOSE)->c = (uint8_t)capture;
    return true;
}

static void read_repeat(struct reader *r, struct ps_pattern_item *item)
{
    static const char marks[] = "?*+-";
    static const uint8_t repeats[] = { OPTIONAL, GREEDY, GREEDY_SOME, LAZY };
    char c = r->at < r->len ? r->text[r->at] : '\0';
    const char *mark = c ? strchr(marks, c) : NULL;
    if (mark) {
        item->repeat = repeats[mark - marks];
        r->at++;
    }
}

/* `at` stands behind the '%'. */
static bool read_escape(struct reader *r)
{
    if (r->at == r->len)
        return fail(r, "malformed pattern (ends with '%')");
    char c = r->text[r->at++];
    if (c == 'b') {
        if (r->len - r->at < 2)
            return fail(r, "malformed pattern (missing arguments to '%b')");
        struct ps_pattern_item *item = add(r, OP_BALANCE);
        item->c = (uint8_t)r->text[r->at];
        item->c2 = (uint8_t)r->text[r->at + 1];
        r->at += 2;
        return true;
    }
    if (c == 'f') {
        if (r->at == r->len || r->text[r->at] != '[')
            return fail(r, "missing '[' after '%f' in pattern");
        r->at++;
        return read_set(r, add(r, OP_FRONTIER));
    }
    if (c >= '0' && c <= '9') {
        unsigned capture = (unsigned)(c - '1');
        if (c == '0' || capture >= r->out->capture_count || !r->closed[capture])
            return fail(r, "invalid capture index in pattern");
        add(r, OP_BACK)->c = (uint8_t)capture;
        return true;
    }
    struct ps_pattern_item *item = add(r, OP_CLASS);
    item->c = (uint8_t)c;
    if (!isalpha((unsigned char)c))
        item->op = OP_CHAR;
    read_repeat(r, item);
    return true;
}

static bool read_item(struct reader *r)
{
    char c = r->text[r->at++];
    switch (c) {
    case '(':
        return read_open(r);
    case ')':
        return read_close(r);
    case '%':
        return read_escape(r);
    case '$':
        if (r->at == r->len) {
            add(r, OP_AT_END);
            return true;
        }
        break;
    default:
        break;
    }
    struct ps_pattern_item *item = add(r, c == '.' ? OP_ANY : c == '[' ? OP_SET : OP_CHAR);
    item->c = (uint8_t)c;
    if (c == '[' && !read_set(r, item))
        return false;
    read_repeat(r, item);
    return true;
}

enum ps_status ps_pattern_read(const char *text, size_t len, bool anchor,
                               struct ps_pattern_item *items, struct ps_pattern *out,
                               const char **why)
{
    struct reader r = { .text = text, .len = len, .out = out };
    *out = (struct ps_pattern){ .text = text, .items = items };
    if (anchor && len > 0 && text[0] == '^') {
        out->anchored = true;
        r.at = 1;
    }
    while (r.at < len) {
        if (!read_item(&r)) {
            *why = r.why;
            return PS_EINVAL;
        }
    }
    if (r.open_count > 0) {
        *why = "unfinished capture";
        return PS_EINVAL;
    }
    add(&r, OP_END);
    return PS_OK;
}

bool ps_pattern_is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] && strchr("^$*+?.([%-", text[i]))
            return false;
    }
    return true;
}

/* --- matching --- */

struct matcher {
    struct ps_pattern *pattern;
    const char *subject;
    size_t len, at;
    uint32_t item, choice; /* the item to match next; the latest that can give way */
    int64_t *steps;
    struct ps_pattern_match *out;
};

static unsigned char subject_at(const struct matcher *m, size_t at)
{
    return (unsigned char)m->subject[at];
}

static void open_choice(struct matcher *m, struct ps_pattern_item *item)
{
    item->last_choice = m->choice;
    m->choice = m->item;
}

static bool matches_here(const struct matcher *m, const struct ps_pattern_item *item)
{
    return m->at < m->len && one_matches(m->pattern, item, subject_at(m, m->at));
}

/* Sets are read anew for every character, so they cost what they are long. */
static int64_t item_cost(const struct ps_pattern_item *item)
{
    return item->op == OP_SET ? 1 + (item->to - item->from) / 4 : 1;
}

static bool step_greedy(struct matcher *m, struct ps_pattern_item *item)
{
    size_t count = 0, left = m->len - m->at;
    int64_t cost = item_cost(item);
    while (count<left && * m->steps> 0 &&
           one_matches(m->pattern, item, subject_at(m, m->at + count))) {
        count++;
        *m->steps -= cost;
    }
    size_t least = item->repeat == GREEDY_SOME;
    if (count < least)
        return false;
    item->base = m->at;
    item->count = count;
    if (count > least)
        open_choice(m, item);
    m->at += count;
    return true;
}

static bool step_one(struct matcher *m, struct ps_pattern_item *item)
{
    *m->steps -= item_cost(item);
    switch (item->repeat) {
    case ONCE:
        if (!matches_here(m, item))
            return false;
        m->at++;
        return true;
    case OPTIONAL:
        if (matches_here(m, item)) {
            item->base = m->at++;
            open_choice(m, item);
        }
        return true;
    case LAZY:
        item->base = m->at;
        open_choice(m, item);
        return true;
    default:
        return step_greedy(m, item);
    }
}

static bool step_back_reference(struct matcher *m, unsigned capture)
{
    ptrdiff_t len = m->out->captures[capture].len;
    if (len == PS_PATTERN_POSITION || (size_t)len > m->len - m->at)
        return false;
    *m->steps -= len / 8;
    if (memcmp(m->subject + m->out->captures[capture].start, m->subject + m->at, (size_t)len) != 0)
        return false;
    m->at += (size_t)len;
    return true;
}

static bool step_balance(struct matcher *m, const struct ps_pattern_item *item)
{
    if (m->at == m->len || subject_at(m, m->at) != item->c)
        return false;
    size_t depth = 1;
    for (size_t i = m->at + 1; i<m->len && * m->steps> 0; i++) {
        --*m->steps;
        if (subject_at(m, i) == item->c2) {
            if (--depth == 0) {
                m->at = i + 1;
                return true;
            }
        } else if (subject_at(m, i) == item->c) {
            depth++;
        }
    }
    return false;
}

static bool step_frontier(struct matcher *m, const struct ps_pattern_item *item)
{
    unsigned char before = m->at > 0 ? subject_at(m, m->at - 1) : '\0';
    unsigned char here = m->at < m->len ? subject_at(m, m->at) : '\0';
    *m->steps -= (item->to - item->from) / 4;
    return !in_set(m->pattern->text, item->from, item->to, before) &&
           in_set(m->pattern->text, item->from, item->to, here);
}

/* Match the present item. Returns: false if something before must give way. */
static bool step(struct matcher *m, struct ps_pattern_item *item)
{
    switch (item->op) {
    case OP_OPEN:
        m->out->captures[item->c].start = m->at;
        return true;
    case OP_CLOSE:
        m->out->captures[item->c].len = (ptrdiff_t)(m->at - m->out->captures[item->c].start);
        return true;
    case OP_POSITION:
        m->out->captures[item->c].start = m->at;
        m->out->captures[item->c].len = PS_PATTERN_POSITION;
        return true;
    case OP_BACK:
        return step_back_reference(m, item->c);
    case OP_BALANCE:
        return step_balance(m, item);
    case OP_FRONTIER:
        return step_frontier(m, item);
    case OP_AT_END:
        return m->at == m->len;
    default:
        return step_one(m, item);
    }
}

/* The latest choice takes its next alternative. Returns: false if there is none left at all. */
static bool give_way(struct matcher *m)
{
    while (m->choice != NO_CHOICE) {
        struct ps_pattern_item *item = &m->pattern->items[m->choice];
        m->item = m->choice + 1;
        --*m->steps;
        if (item->repeat == LAZY) {
            m->at = item->base;
            if (matches_here(m, item)) {
                m->at = ++item->base;
                return true;
            }
            m->choice = item->last_choice;
            continue;
        }
        if (item->repeat == OPTIONAL) {
            m->at = item->base;
            m->choice = item->last_choice;
            return true;
        }
        item->count--;
        m->at = item->base + item->count;
        if (item->count == (item->repeat == GREEDY_SOME))
            m->choice = item->last_choice;
        return true;
    }
    return false;
}

enum ps_status ps_pattern_match_at(struct ps_pattern *pattern, const char *subject, size_t len,
                                   size_t from, int64_t *steps, struct ps_pattern_match *out)
{
    struct matcher m = { .pattern = pattern,
                         .subject = subject,
                         .len = len,
                         .at = from,
                         .choice = NO_CHOICE,
                         .steps = steps,
                         .out = out };
    for (;;) {
        struct ps_pattern_item *item = &pattern->items[m.item];
        if (--*steps <= 0)
            return PS_ELIMIT;
        if (item->op == OP_END)
            break;
        if (step(&m, item))
            m.item++;
        else if (!give_way(&m))
            return *steps <= 0 ? PS_ELIMIT : PS_ENOTFOUND;
    }
    out->start = from;
    out->end = m.at;
    out->count = pattern->capture_count;
    return PS_OK;
}

/* Where a pattern that begins with a plain character can begin to match at all. */
static size_t skip_ahead(const struct ps_pattern *pattern, const char *subject, size_t len,
                         size_t from, int64_t *steps)
{
    const struct ps_pattern_item *first = &pattern->items[0];
    if (first->op != OP_CHAR || first->repeat != ONCE || from == len)
        return from;
    const char *found = memchr(subject + from, first->c, len - from);
    size_t at = found ? (size_t)(found - subject) : len;
    *steps -= (int64_t)(at - from) / 16;
    return at;
}

enum ps_status ps_pattern_find(struct ps_pattern *pattern, const char *subject, size_t len,
                               size_t from, int64_t *steps, struct ps_pattern_match *out)
{
    if (pattern->anchored)
        return ps_pattern_match_at(pattern, subject, len, from, steps, out);
    for (size_t at = from; at <= len; at++) {
        at = skip_ahead(pattern, subject, len, at, steps);
        enum ps_status st = ps_pattern_match_at(pattern, subject, len, at, steps, out);
        if (st != PS_ENOTFOUND)
            return st;
    }
    return PS_ENOTFOUND;
}
