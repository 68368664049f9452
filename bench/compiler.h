/* The compiler of the file that includes this. */
#ifndef BENCH_COMPILER_H
#define BENCH_COMPILER_H

/* Set by the build: what the loops in C are compiled with beyond the common flags. */
#ifndef BENCH_PEER_FLAGS
#define BENCH_PEER_FLAGS ""
#endif

#define BENCH_AS_TEXT_(token) #token
#define BENCH_AS_TEXT(token) BENCH_AS_TEXT_(token)

#if defined(__clang__)
#define BENCH_COMPILER_NAME "clang"
#define BENCH_COMPILER \
    "clang " BENCH_AS_TEXT(__clang_major__) "." BENCH_AS_TEXT(__clang_minor__) "." BENCH_AS_TEXT(__clang_patchlevel__)
#elif defined(__GNUC__)
#define BENCH_COMPILER_NAME "gcc"
#define BENCH_COMPILER "gcc " __VERSION__
#else
#define BENCH_COMPILER_NAME "cc"
#define BENCH_COMPILER "unknown compiler"
#endif

#endif
