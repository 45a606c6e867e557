/* lint: what a script's text and bytecode tell before it runs.
 *
 * Globals are found in the dumped bytecode rather than in the text, for there the compiler has
 * already settled what is local: GETTABUP and SETTABUP on an upvalue named _ENV. Where a function
 * has so many constants that the compiler takes another way, a warning is missed, nothing worse.
 *
 * The layout of a dump is that of Lua 5.4: header; then per function source, lines, code,
 * constants, upvalues, inner functions, debug information. We read only what our own lua_dump
 * wrote. */
#include "rules/lua/lint.h"

#include <ctype.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "rules/lua/state.h"

/* --- the text --- */

/* At "[", "[=", ...: the offset behind the closing bracket of a long string; 0 if it is none. */
static size_t long_bracket_end(const char *source, size_t len, size_t at)
{
    size_t level = 0, i = at + 1;
    while (i < len && source[i] == '=') {
        i++;
        level++;
    }
    if (i >= len || source[i] != '[')
        return 0;
    for (i++; i < len; i++) {
        if (source[i] != ']')
            continue;
        size_t equals = 0;
        while (i + 1 + equals < len && source[i + 1 + equals] == '=')
            equals++;
        if (equals == level && i + 1 + equals < len && source[i + 1 + equals] == ']')
            return i + 2 + equals;
    }
    return len;
}

static size_t quoted_end(const char *source, size_t len, size_t at)
{
    char quote = source[at];
    for (size_t i = at + 1; i < len; i++) {
        if (source[i] == '\\')
            i++;
        else if (source[i] == quote || source[i] == '\n')
            return i + 1;
    }
    return len;
}

static size_t comment_end(const char *source, size_t len, size_t at)
{
    size_t end = at + 2 < len && source[at + 2] == '[' ? long_bracket_end(source, len, at + 2) : 0;
    if (end)
        return end;
    while (at < len && source[at] != '\n')
        at++;
    return at;
}

static size_t word_end(const char *source, size_t len, size_t at)
{
    while (at < len && (isalnum((unsigned char)source[at]) || source[at] == '_'))
        at++;
    return at;
}

int ps_lint_environment_line(const char *source, size_t len)
{
    size_t i = 0;
    while (i < len) {
        size_t from = i;
        if (source[i] == '-' && i + 1 < len && source[i + 1] == '-')
            i = comment_end(source, len, i);
        else if (source[i] == '"' || source[i] == '\'')
            i = quoted_end(source, len, i);
        else if (source[i] == '[' && long_bracket_end(source, len, i))
            i = long_bracket_end(source, len, i);
        else if (isalnum((unsigned char)source[i]) || source[i] == '_')
            i = word_end(source, len, i);
        else
            i++;
        if (i - from == 4 && memcmp(source + from, "_ENV", 4) == 0) {
            int line = 1;
            for (size_t k = 0; k < from; k++)
                line += source[k] == '\n';
            return line;
        }
    }
    return 0;
}

/* --- the bytecode --- */

enum {
    OP_GETTABUP_54 = 11, /* R[A] := UpValue[B][K[C]] */
    OP_SETTABUP_54 = 15, /* UpValue[A][K[B]] := RK(C) */
    CONSTANT_NIL = 0x00,
    CONSTANT_FALSE = 0x01,
    CONSTANT_TRUE = 0x11,
    CONSTANT_INTEGER = 0x03,
    CONSTANT_NUMBER = 0x13,
    CONSTANT_SHORT_TEXT = 0x04,
    CONSTANT_LONG_TEXT = 0x14,
    LINE_IS_ABSOLUTE = -0x80,
};

struct reader {
    const unsigned char *at, *end;
    bool broken;
    struct ps_script_warnings *warnings;
};

struct text {
    const char *data;
    size_t len;
};

/* One function of the dump; the arrays are the reader's bytes or malloc'ed. */
struct function {
    int line_defined;
    const unsigned char *code;
    size_t code_count, constant_count, upvalue_count;
    struct text *constants;
    const signed char *line_steps;
    size_t line_step_count;
    const unsigned char *absolute_lines;
    size_t absolute_count;
};

static const unsigned char *take(struct reader *r, size_t bytes)
{
    if (r->broken || (size_t)(r->end - r->at) < bytes) {
        r->broken = true;
        return NULL;
    }
    const unsigned char *taken = r->at;
    r->at += bytes;
    return taken;
}

static unsigned take_byte(struct reader *r)
{
    const unsigned char *byte = take(r, 1);
    return byte ? *byte : 0;
}

/* Seven bits a byte, most significant first, the last byte marked. */
static size_t take_size(struct reader *r)
{
    size_t value = 0;
    for (int i = 0; i < 10 && !r->broken; i++) {
        unsigned byte = take_byte(r);
        value = value << 7 | (byte & 0x7f);
        if (byte & 0x80)
            return value;
    }
    r->broken = true;
    return 0;
}

static struct text take_text(struct reader *r)
{
    size_t size = take_size(r);
    if (size == 0)
        return (struct text){ NULL, 0 };
    const unsigned char *data = take(r, size - 1);
    return (struct text){ (const char *)data, data ? size - 1 : 0 };
}

static struct text take_constant(struct reader *r)
{
    switch (take_byte(r)) {
    case CONSTANT_NIL:
    case CONSTANT_FALSE:
    case CONSTANT_TRUE:
        break;
    case CONSTANT_INTEGER:
    case CONSTANT_NUMBER:
        take(r, 8);
        break;
    case CONSTANT_SHORT_TEXT:
    case CONSTANT_LONG_TEXT:
        return take_text(r);
    default:
        r->broken = true;
    }
    return (struct text){ NULL, 0 };
}

static int line_of(const struct function *f, size_t pc)
{
    int line = f->line_defined;
    for (size_t i = 0; i <= pc && i < f->line_step_count; i++) {
        if (f->line_steps[i] != LINE_IS_ABSOLUTE) {
            line += f->line_steps[i];
            continue;
        }
        struct reader r = { .at = f->absolute_lines,
                            .end = f->absolute_lines + 20 * f->absolute_count };
        for (size_t k = 0; k < f->absolute_count; k++) {
            size_t at = take_size(&r);
            int absolute = (int)take_size(&r);
            if (at == i)
                line = absolute;
        }
    }
    return line;
}

static void warn(struct ps_script_warnings *warnings, const struct text *name, bool assigned,
                 int line)
{
    char text[sizeof warnings->list[0].name];
    size_t len = name->len < sizeof text ? name->len : sizeof text - 1;
    memcpy(text, name->data, len);
    text[len] = '\0';
    if (!assigned && ps_lua_global_known(text))
        return;
    for (unsigned i = 0; i < warnings->count; i++) {
        struct ps_script_warning *seen = &warnings->list[i];
        if (strcmp(seen->name, text) != 0)
            continue;
        seen->assigned |= assigned;
        seen->line = line < seen->line ? line : seen->line;
        return;
    }
    if (warnings->count == PS_SCRIPT_WARNINGS_MAX)
        return;
    struct ps_script_warning *warning = &warnings->list[warnings->count++];
    warning->line = line;
    warning->assigned = assigned;
    memcpy(warning->name, text, len + 1);
}

static void read_function(struct reader *r);

/* Upvalue names come last in a function, so its code is looked through once they are read. */
static void find_globals(struct reader *r, const struct function *f, const struct text *upvalues)
{
    for (size_t pc = 0; pc < f->code_count; pc++) {
        uint32_t op;
        memcpy(&op, f->code + 4 * pc, sizeof op);
        unsigned code = op & 0x7f, a = op >> 7 & 0xff, b = op >> 16 & 0xff, c = op >> 24 & 0xff;
        bool get = code == OP_GETTABUP_54, set = code == OP_SETTABUP_54;
        unsigned upvalue = get ? b : a, name = get ? c : b;
        if ((!get && !set) || upvalue >= f->upvalue_count || name >= f->constant_count)
            continue;
        const struct text *environment = &upvalues[upvalue], *key = &f->constants[name];
        if (environment->len == 4 && memcmp(environment->data, "_ENV", 4) == 0 && key->data)
            warn(r->warnings, key, set, line_of(f, pc));
    }
}

static void read_debug(struct reader *r, struct function *f)
{
    f->line_step_count = take_size(r);
    f->line_steps = (const signed char *)take(r, f->line_step_count);
    f->absolute_count = take_size(r);
    f->absolute_lines = r->at;
    for (size_t i = 0; i < f->absolute_count && !r->broken; i++) {
        take_size(r);
        take_size(r);
    }
    for (size_t i = take_size(r); i > 0 && !r->broken; i--) {
        take_text(r); /* a local's name and the code it lives in */
        take_size(r);
        take_size(r);
    }
    size_t count = take_size(r);
    if (r->broken || count == 0 || count > 255)
        return;
    struct text upvalues[255];
    for (size_t i = 0; i < count; i++)
        upvalues[i] = take_text(r);
    f->upvalue_count = count;
    if (!r->broken)
        find_globals(r, f, upvalues);
}

static void read_function(struct reader *r)
{
    struct function f = { 0 };
    take_text(r); /* source */
    f.line_defined = (int)take_size(r);
    take_size(r); /* last line */
    take(r, 3);   /* parameters, vararg, stack size */
    f.code_count = take_size(r);
    if (f.code_count > (size_t)(r->end - r->at))
        r->broken = true;
    f.code = take(r, f.code_count * 4);
    f.constant_count = take_size(r);
    if (r->broken || f.constant_count > (size_t)(r->end - r->at)) {
        r->broken = true;
        return;
    }
    f.constants = calloc(f.constant_count + 1, sizeof *f.constants);
    if (!f.constants) {
        r->broken = true;
        return;
    }
    for (size_t i = 0; i < f.constant_count; i++)
        f.constants[i] = take_constant(r);
    take(r, 3 * take_size(r)); /* upvalues: in stack, index, kind */
    for (size_t i = take_size(r); i > 0 && !r->broken; i--)
        read_function(r);
    read_debug(r, &f);
    free(f.constants);
}

static int compare_lines(const void *a, const void *b)
{
    const struct ps_script_warning *left = a, *right = b;
    return left->line != right->line ? (left->line > right->line) - (left->line < right->line)
                                     : strcmp(left->name, right->name);
}

void ps_lint_globals(const char *bytecode, size_t len, struct ps_script_warnings *warnings)
{
    enum { HEADER_BYTES = 4 + 1 + 1 + 6 + 3 + 8 + 8 }; /* signature .. LUAC_NUM */
    struct reader r = { .at = (const unsigned char *)bytecode,
                        .end = (const unsigned char *)bytecode + len,
                        .warnings = warnings };
    warnings->count = 0;
    take(&r, HEADER_BYTES);
    take_byte(&r); /* number of upvalues of the main function */
    read_function(&r);
    qsort(warnings->list, warnings->count, sizeof warnings->list[0], compare_lines);
}
