/* Template: includes the file RP_TEMPLATE once for each dtype, with
 *   RP_DTYPE     the dtype's name: int8 ... float64
 *   RP_ELEMENT   its storage type, which may alias the caller's own
 *   RP_KEY(x)    an element as the integer that orders it (see dtype.h)
 * A macro cannot include, hence the list; a table of the instances, made from RP_DTYPES, fails to compile when one is
 * missing. */
#include "core/dtype.h"

#ifndef RP_CORE_EACH_DTYPE_H
#define RP_CORE_EACH_DTYPE_H

#define RP_SIGN_SHIFT(type) (8 * sizeof(type) - 1)
#define RP_ALL_BUT_SIGN(type) ((type)((UINT64_C(1) << RP_SIGN_SHIFT(type)) - 1))

#define RP_KEY_SIGNED(type, bits) (bits)
#define RP_KEY_UNSIGNED(type, bits) (bits)
#define RP_KEY_FLOAT(type, bits) ((type)((bits) ^ ((bits) >> RP_SIGN_SHIFT(type) & RP_ALL_BUT_SIGN(type))))

#define RP_ELEMENT_TYPE(NAME, name, c, cl, kind, fraction)                \
    typedef c __attribute__((may_alias)) rp_element_##name;               \
    static inline rp_element_##name rp_key_##name(rp_element_##name bits) \
    {                                                                     \
        return RP_KEY_##kind(c, bits);                                    \
    }
RP_DTYPES(RP_ELEMENT_TYPE)
#undef RP_ELEMENT_TYPE

#define RP_JOIN_(a, b) a##b
#define RP_JOIN(a, b) RP_JOIN_(a, b)
#define RP_ELEMENT RP_JOIN(rp_element_, RP_DTYPE)
#define RP_KEY(bits) RP_JOIN(rp_key_, RP_DTYPE)(bits)

#endif

#define RP_DTYPE int8
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE int16
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE int32
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE int64
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE uint8
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE uint16
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE uint32
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE uint64
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE float16
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE float32
#include RP_TEMPLATE
#undef RP_DTYPE
#define RP_DTYPE float64
#include RP_TEMPLATE
#undef RP_DTYPE
