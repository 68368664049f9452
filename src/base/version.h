/* The version as text: "0.2.0". */
#ifndef RP_BASE_VERSION_H
#define RP_BASE_VERSION_H

#include <rowpool.h>

#define RP_VERSION_TEXT_(x) #x
#define RP_VERSION_TEXT(x) RP_VERSION_TEXT_(x)
#define RP_VERSION                         \
    RP_VERSION_TEXT(ROWPOOL_VERSION_MAJOR) \
    "." RP_VERSION_TEXT(ROWPOOL_VERSION_MINOR) "." RP_VERSION_TEXT(ROWPOOL_VERSION_PATCH)

#endif
