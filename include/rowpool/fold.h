/* Compiles a fold, a row function in a file of its own, into
 *
 *     const rowpool_function NAME;
 *
 * for the calling thread and worker processes; with its text, for OpenCL devices too. In a C file that has nothing
 * else:
 *
 *     #define ROWPOOL_FUNCTION NAME
 *     #define ROWPOOL_FILE "name.cl"             the file, as #include takes it
 *     #define ROWPOOL_TITLE "name"               for messages; not defined: NAME
 *     #define ROWPOOL_TEXT name_text             its text, a const char[]; not defined: no OpenCL form
 *     #include <rowpool/fold.h>
 *
 * The CMake function rowpool_add_functions writes such a file. To compile it for some dtypes only define
 * ROWPOOL_SOME_DTYPES and, for each of them, ROWPOOL_WITH_int32 and the like. */
#define ROWPOOL_FORM ROWPOOL_FOLD
#define ROWPOOL_ROWS <rowpool/fold_rows.h>
#include <rowpool/function.h>
