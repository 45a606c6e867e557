/* status: the result codes of everything the world can cause, with their texts.
 *
 * A function that can fail returns enum ps_status, marked PS_MUST_CHECK, and leaves its result
 * parameter untouched on failure. What only a bug can cause is PS_ASSERT, alive in release too. */
#ifndef PS_CORE_STATUS_H
#define PS_CORE_STATUS_H

#define PS_MUST_CHECK __attribute__((warn_unused_result))
#define PS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define PS_STATUS_LIST(X)                                                                          \
    X(PS_OK, "ok")                                                                                 \
    X(PS_ENOMEM, "out of memory")                                                                  \
    X(PS_EINVAL, "invalid value")                                                                  \
    X(PS_EPROTO, "malformed or unexpected bytes")                                                  \
    X(PS_EBUSY, "queue full, try again later")                                                     \
    X(PS_ENOTFOUND, "not found")                                                                   \
    X(PS_EEXISTS, "already exists")                                                                \
    X(PS_EAUTH, "not authenticated")                                                               \
    X(PS_EDENIED, "not allowed")                                                                   \
    X(PS_ECONFLICT, "changed by someone else")                                                     \
    X(PS_ELIMIT, "over a limit")                                                                   \
    X(PS_ESTORE, "storage failed")                                                                 \
    X(PS_EFULL, "disk full")                                                                       \
    X(PS_EIO, "system call failed")                                                                \
    X(PS_ETIMEOUT, "timed out")                                                                    \
    X(PS_ECLOSED, "closed or shutting down")                                                       \
    X(PS_ESCRIPT, "script failed")                                                                 \
    X(PS_EUNSUPPORTED, "not supported")

enum ps_status {
#define PS_STATUS_ENUM(code, text) code,
    PS_STATUS_LIST(PS_STATUS_ENUM)
#undef PS_STATUS_ENUM
};

/** The text of a code, e.g. "queue full, try again later". Thread: any. */
const char *ps_status_text(enum ps_status st);

/** Print what broke and abort; behind PS_ASSERT, never for input. */
_Noreturn void ps_assert_failed(const char *expression, const char *file, int line);

#define PS_ASSERT(expression)                                                                      \
    ((expression) ? (void)0 : ps_assert_failed(#expression, __FILE__, __LINE__))

#endif
