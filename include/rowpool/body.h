/* Compiles a free body, a row function in a file of its own. All that fold.h says holds here too. */
#define ROWPOOL_FORM ROWPOOL_BODY
#define ROWPOOL_ROWS <rowpool/body_rows.h>
#include <rowpool/function.h>
