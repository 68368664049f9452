/* Row functions' text, from files. */
#ifndef RP_BASE_SOURCE_H
#define RP_BASE_SOURCE_H

/* Puts back what rowpool_read_source escapes in a path: there are compilers that show the path of a #line as it stands
 * there. */
void rp_source_unescape(char *text);

#endif
