/* lint: what a script's text and bytecode tell before it runs. */
#ifndef PS_RULES_LUA_LINT_H
#define PS_RULES_LUA_LINT_H

#include "rules/lua/script.h"

/** The line of the first word `_ENV` outside of strings and comments; 0 if there is none. */
int ps_lint_environment_line(const char *source, size_t len);

/** Find uses of globals that the sandbox does not offer, in bytecode made by our own lua_dump. */
void ps_lint_globals(const char *bytecode, size_t len, struct ps_script_warnings *warnings);

#endif
