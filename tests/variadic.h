/* Variadic calls that the linker redirects here (LINKER:--wrap): syscall and open. A test that links this file decides
 * which of them fail. */
#ifndef ROWPOOL_TESTS_VARIADIC_H
#define ROWPOOL_TESTS_VARIADIC_H

/* The errno to fail with; 0: make the call. */
int test_syscall_failure(long number);
int test_open_failure(const char *path);

#endif
