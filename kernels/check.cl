/* Comes after a row function: the host and the device must agree on the sizes of its structs. If they do not, the build
 * fails at the typedef that names the struct. */
#ifdef RP_RESULT_SIZE
typedef char rp_size_of_result_t_differs[sizeof(result_t) == RP_RESULT_SIZE ? 1 : -1];
typedef char rp_size_of_arguments_t_differs[sizeof(arguments_t) == RP_ARGUMENTS_SIZE ? 1 : -1];
#endif

/* Dimension 0 is work along the rows, dimension 1 along the columns: each work item does `columns_per_item` of them. */
#define RP_FIRST_COLUMN (get_global_id(1) * columns_per_item)
#define RP_LAST_COLUMN min(RP_FIRST_COLUMN + columns_per_item, columns)
