#include "base/floating.h"

/* <fenv.h> takes longer than the rest of a small map, and needs libm. */
#if defined(__x86_64__)

enum { SSE_DEFAULT = 0x1f80, X87_DEFAULT = 0x037f, EXCEPTIONS = 0x3f };

/* The x87 has no instruction that sets its exception flags alone. */
static void set_x87(uint16_t control, uint16_t exceptions)
{
    uint32_t environment[7];
    __asm__ volatile("fnstenv %0" : "=m"(environment));
    environment[0] = (environment[0] & ~0xffffu) | control;
    environment[1] = (environment[1] & ~(uint32_t)EXCEPTIONS) | exceptions;
    __asm__ volatile("fldenv %0" : : "m"(environment) : "memory");
}

void rp_floating_default(rp_floating *before)
{
    static const uint32_t sse_default = SSE_DEFAULT;
    __asm__ volatile("stmxcsr %0" : "=m"(before->sse) : : "memory");
    __asm__ volatile("fnstcw %0" : "=m"(before->control));
    before->exceptions = 0;
    if ((before->sse & ~(uint32_t)EXCEPTIONS) != SSE_DEFAULT)
        __asm__ volatile("ldmxcsr %0" : : "m"(sse_default) : "memory");
    if (before->control == X87_DEFAULT)
        return;
    __asm__ volatile("fnstsw %0" : "=m"(before->exceptions)); /* takes as long as the rest of the function */
    before->exceptions &= EXCEPTIONS;
    set_x87(X87_DEFAULT, 0);
}

void rp_floating_restore(const rp_floating *before)
{
    uint16_t control;
    __asm__ volatile("ldmxcsr %0" : : "m"(before->sse) : "memory");
    __asm__ volatile("fnstcw %0" : "=m"(control));
    if (before->control != X87_DEFAULT)
        set_x87(before->control, before->exceptions);
    else if (control != X87_DEFAULT)
        __asm__ volatile("fldcw %0" : : "m"(before->control) : "memory");
}

#elif defined(__aarch64__)

static rp_floating current(void)
{
    rp_floating now;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(now.control), "=r"(now.status) : : "memory");
    return now;
}

void rp_floating_default(rp_floating *before)
{
    *before = current();
    if (before->control != 0)
        __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
}

void rp_floating_restore(const rp_floating *before)
{
    const rp_floating now = current();
    if (now.control != before->control)
        __asm__ volatile("msr fpcr, %0" : : "r"(before->control) : "memory");
    if (now.status != before->status)
        __asm__ volatile("msr fpsr, %0" : : "r"(before->status) : "memory");
}

#else

void rp_floating_default(rp_floating *before)
{
    fegetenv(&before->all);
    fesetenv(FE_DFL_ENV);
}

void rp_floating_restore(const rp_floating *before)
{
    fesetenv(&before->all);
}

#endif
