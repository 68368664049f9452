/* The calls with arguments by number that tests lead here (LINKER:--wrap): syscall and open. A test that links this file
 * says which of them fail. */
#ifndef ROWPOOL_TESTS_VARIADIC_H
#define ROWPOOL_TESTS_VARIADIC_H

/* The errno with which a call fails; 0: it is made. */
int test_syscall_failure(long number);
int test_open_failure(const char *path);

#endif
