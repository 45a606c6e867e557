/* wide_loop: functions whose loops are worth compiling twice.
 *
 * What runs everywhere on x86-64 handles two 64-bit numbers at a time, and cannot compare them;
 * every server of the last ten years handles four. PS_WIDE_LOOP before a function makes the
 * compiler build both forms, of which the loader takes the one this processor can run. Both
 * compute the same: it is the same C, and multiplication and addition are not fused (that would
 * round once instead of twice; "avx2" does not bring it).
 *
 * For leaves with loops over a miniblock or a chunk only: a call goes through a pointer, and what
 * is inlined into them is compiled with them. Builds that do not optimize, and compilers or
 * sanitizers that do not take part, get the plain form. */
#ifndef PS_CORE_TELEMETRY_WIDE_LOOP_H
#define PS_CORE_TELEMETRY_WIDE_LOOP_H

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__OPTIMIZE__) &&                      \
    !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PS_WIDE_LOOP __attribute__((target_clones("avx2", "default")))
#else
#define PS_WIDE_LOOP
#endif

#endif
