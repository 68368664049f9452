/* rowpool doctor reports every fault that it knows, with a remedy, and reports no fault on a healthy machine. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "support.h"

static char folder[] = "/tmp/rowpool-test-doctor-XXXXXX"; /* the working directory */
static bool has_opencl;

/* ---- Running it ------------------------------------------------------------------------------------------------- */

/* Runs a shell command in which $D is the program; returns its output, to be freed. */
static char *run(const char *line, int expected_status)
{
    char command[1024], *text;
    size_t length;
    (void)snprintf(command, sizeof command, "D=\"$ROWPOOL_PROGRAM\"; { %s; } 2>&1", line);
    FILE *kept = open_memstream(&text, &length), *out = popen(command, "r");
    assert_non_null(kept);
    assert_non_null(out);
    for (int c; (c = fgetc(out)) != EOF;)
        (void)fputc(c, kept);
    assert_int_equal(fclose(kept), 0);
    int status = pclose(out);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected_status)
        fail_msg("%s: status %x instead of %d\n%s", line, (unsigned)status, expected_status, text);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in\n%s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("'%s' is in\n%s", part, text);
}

/* Runs a command that finds a fault: expects the line that reports it and the remedy below. */
static void wrong(const char *line, const char *told)
{
    char *text = run(line, 1);
    assert_has(text, told);
    free(text);
}

#define FIX "                         fix: "

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void need_opencl(void)
{
    if (!has_opencl)
        skip_since("rowpool is built without OpenCL");
}

/* ---- All is well ------------------------------------------------------------------------------------------------ */

TEST(a_healthy_machine_has_no_faults)
{
    char *text = run("\"$D\" doctor", 0);
    assert_int_equal(strncmp(text, has_opencl ? "ok     OpenCL driver     /" : "note   OpenCL            ", 25), 0);
    assert_lacks(text, "wrong ");
    assert_has(text, "\nok     pool              opens on ");
    assert_has(text, "\nok     limits            open files: ");
    assert_has(text, "     CPUs              ");
    assert_has(text, "\nok     worker processes  one was started and counted correctly\n");
    assert_has(text, "     memory access     ");
    assert_has(text, "     huge pages        ");
    assert_has(text, "\n0 wrong, ");
    if (has_opencl) {
        assert_has(text, "ok     OpenCL driver     /etc/OpenCL/vendors/pocl.icd: libpocl");
        assert_has(text, "\nok     OpenCL device     0:0 ");
        assert_has(text, ": built and ran a kernel, and counted correctly\n");
    }
    free(text);
}

TEST(a_missing_cache_is_no_fault)
{
    need_opencl();
    char *text = run("POCL_CACHE_DIR=later \"$D\" doctor | grep cache", 0);
    assert_has(text, "ok     cache of PoCL     later can be written\n");
    free(text);
    text = run("POCL_CACHE_DIR=$PWD/later/deeper \"$D\" doctor | grep cache", 0);
    assert_has(text, "ok     cache of PoCL     /");
    assert_has(text, "/later/deeper can be written\n");
    free(text);
    text = run("POCL_CACHE_DIR= XDG_CACHE_HOME= HOME=$PWD/home \"$D\" doctor | grep cache", 0);
    assert_has(text, "/home/.cache/pocl can be written\n");
    free(text);
    text = run(
        "mkdir made; POCL_CACHE_DIR= XDG_CACHE_HOME=$PWD/made OCL_ICD_VENDORS= ROWPOOL_DEVICE=host \"$D\" doctor "
        "| grep cache; ls -a",
        0);
    assert_has(text, "/made/pocl can be written\n");
    assert_lacks(text, ".rowpool");
    free(text);
}

/* ---- Drivers ---------------------------------------------------------------------------------------------------- */

TEST(a_missing_driver_folder_is_reported)
{
    need_opencl();
    wrong("OCL_ICD_VENDORS=$PWD/none \"$D\" doctor", "wrong  OpenCL driver     OCL_ICD_VENDORS: ");
    wrong("OCL_ICD_VENDORS=$PWD/none \"$D\" doctor",
          "\n" FIX "unset OCL_ICD_VENDORS, or name a folder of .icd files, one of them or a library\n");
    wrong("mkdir empty; OCL_ICD_VENDORS=empty \"$D\" doctor",
          "wrong  OpenCL driver     empty has no .icd file: there is no driver\n" FIX "unset OCL_ICD_VENDORS");
    wrong("OCL_ICD_VENDORS=empty/no.icd \"$D\" doctor",
          "wrong  OpenCL driver     empty/no.icd cannot be read: No such file or directory\n" FIX
          "apt-get install pocl-opencl-icd");
}

TEST(missing_drivers_are_reported)
{
    need_opencl();
    assert_int_equal(mkdir("vendors", 0777), 0);
    write_file("vendors/1.icd", "libnowhere.so.7\n");
    write_file("vendors/2.icd", "\n");
    write_file("vendors/3.txt", "libnowhere.so.8\n");
    char *text = run("OCL_ICD_VENDORS=vendors \"$D\" doctor", 1);
    assert_has(text, "wrong  OpenCL driver     vendors/1.icd: libnowhere.so.7: cannot open shared object file");
    assert_has(text, "\n" FIX "install its package again, or remove it: dpkg -S vendors/1.icd\n");
    assert_has(text, "\nwrong  OpenCL driver     vendors/2.icd names no library\n" FIX "install its package again");
    assert_lacks(text, "3.txt");
    assert_has(text, "\n2 wrong, ");
    free(text);
    /* The other drivers are reported as usual. */
    text = run("cp /etc/OpenCL/vendors/pocl.icd vendors; OCL_ICD_VENDORS=vendors \"$D\" doctor", 1);
    assert_has(text, "\nok     OpenCL driver     vendors/pocl.icd: libpocl");
    assert_has(text, "wrong  OpenCL driver     vendors/1.icd: ");
    assert_has(text, "\nok     OpenCL device     0:0 ");
    free(text);
}

TEST(drivers_without_devices_are_reported)
{
    need_opencl();
    wrong("POCL_DEVICES=none \"$D\" doctor", "\nnote   OpenCL device     0 ");
    wrong("POCL_DEVICES=none \"$D\" doctor",
          "\nwrong  OpenCL device     no driver offers a device that rowpool can use\n" FIX "see the other findings");
}

/* Findings before and after the driver are reported too. */
TEST(a_driver_that_aborts_is_reported)
{
    need_opencl();
    assert_int_equal(mkdir("deadly", 0777), 0);
    write_file("deadly/2.icd", getenv("ROWPOOL_TEST_ENDING_DRIVER"));
    write_file("deadly/1.icd", "libnowhere.so.7\n");
    char *text = run("OCL_ICD_VENDORS=deadly \"$D\" doctor", 1);
    assert_has(text, "\nwrong  OpenCL driver     deadly/2.icd: /");
    assert_has(text, " cannot be loaded in a process of its own: signal 6 (Aborted)\n" FIX
                     "install its package again, or remove it: dpkg -S deadly/2.icd\n");
    assert_has(text, "\nwrong  OpenCL device     a driver ended the process that asked it for its devices: signal 6 "
                     "(Aborted)\n" FIX
                     "see the other findings; with ROWPOOL_ISOLATE=always the driver cannot end your own program\n");
    assert_has(text, "\nok     worker processes  ");
    free(text);
}

/* The doctor's poll times out as soon as the driver reports that it hangs, and no sooner. */
static int hanging = -1;

int __real_poll(struct pollfd *ends, nfds_t n, int milliseconds);
__attribute__((visibility("default"))) int __wrap_poll(struct pollfd *ends, nfds_t n, int milliseconds);
int __wrap_poll(struct pollfd *ends, nfds_t n, int milliseconds)
{
    struct pollfd both[] = {{.fd = ends[0].fd, .events = POLLIN}, {.fd = hanging, .events = POLLIN}};
    char said;
    if (hanging < 0 || n != 1)
        return __real_poll(ends, n, milliseconds);
    while (__real_poll(both, 2, -1) < 0)
        ;
    ends[0].revents = both[0].revents;
    if (both[0].revents != 0)
        return 1;
    assert_int_equal(read(hanging, &said, 1), 1);
    return 0;
}

/* The child that asks it is given up, and what was found before is told. */
TEST(a_driver_that_hangs)
{
    need_opencl();
    assert_int_equal(mkdir("hanging", 0777), 0);
    write_file("hanging/1.icd", getenv("ROWPOOL_TEST_HANGING_DRIVER"));
    assert_int_equal(mkfifo("hangs", 0666), 0);
    char *vendors = strdup(getenv("OCL_ICD_VENDORS")), *arguments[] = {(char[]){"doctor"}, NULL};
    (void)setenv("OCL_ICD_VENDORS", "hanging", 1);
    (void)setenv("ROWPOOL_TEST_HANGS", "hangs", 1);
    hanging = open("hangs", O_RDWR | O_CLOEXEC); /* keeps the pipe open, so that the driver never returns */
    assert_true(hanging >= 0);
    int out = test_open_nameless(), before = dup(STDOUT_FILENO);
    (void)fflush(stdout);
    assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
    const int status = run_doctor(1, arguments);
    (void)fflush(stdout);
    assert_int_equal(dup2(before, STDOUT_FILENO), STDOUT_FILENO);
    assert_int_equal(status, 1);
    (void)close(hanging);
    hanging = -1;
    char *text = test_read_all(out);
    assert_has(text, "ok     OpenCL driver     hanging/1.icd: /");
    assert_has(text,
               "\nwrong  OpenCL device     a driver ended the process that asked it for its devices: no answer for "
               "30 seconds\n");
    assert_has(text, "\nok     worker processes  ");
    assert_has(text, "\n1 wrong, ");
    free(text);
    (void)close(out);
    (void)close(before);
    (void)unsetenv("ROWPOOL_TEST_HANGS");
    (void)setenv("OCL_ICD_VENDORS", vendors, 1);
    free(vendors);
}

/* ---- The rest --------------------------------------------------------------------------------------------------- */

TEST(an_unwritable_cache_is_reported)
{
    need_opencl();
    write_file("file", "");
    wrong("POCL_CACHE_DIR=file/cache \"$D\" doctor",
          "\nwrong  cache of PoCL     file/cache cannot be written: PoCL offers no device without it\n" FIX
          "POCL_CACHE_DIR=FOLDER, one that can be written\n");
    wrong("POCL_CACHE_DIR=file \"$D\" doctor", "\nwrong  cache of PoCL     file cannot be written");
    wrong("POCL_CACHE_DIR=/proc/1 \"$D\" doctor", "\nwrong  cache of PoCL     /proc/1 cannot be written");
}

/* ---- Kernels that a driver aborts on ---------------------------------------------------------------------------- */

/* PoCL links kernels with ld, which it finds through PATH. */
TEST(a_missing_linker_is_reported)
{
    need_opencl();
    wrong("mkdir bare; POCL_CACHE_DIR=$PWD/bare PATH=/nowhere \"$D\" doctor",
          "signal 6 (SIGABRT): error: unable to execute");
    wrong("POCL_CACHE_DIR=$PWD/bare PATH=/nowhere \"$D\" doctor",
          FIX "apt-get install binutils: a driver links kernels with ld, found by PATH\n");
}

/* The first line of the message names the file. */
TEST(a_damaged_cache_is_reported)
{
    need_opencl();
    wrong("export POCL_CACHE_DIR=$PWD/used; mkdir used; \"$D\" doctor >first; find used -name '*.so' -size +0 "
          "-exec truncate -s 0 {} +; \"$D\" doctor",
          "signal 6 (SIGABRT): dlopen(");
    wrong("POCL_CACHE_DIR=$PWD/used \"$D\" doctor",
          "file too short'.\n" FIX "remove the folder that POCL_CACHE_DIR names, or else ~/.cache/pocl");
}

TEST(a_cache_in_a_missing_folder_is_reported)
{
    need_opencl();
    char *text = run("POCL_CACHE_DIR= \"$D\" doctor", 1);
    assert_has(text, "a driver ended the process that asked it for its devices: signal 6 (Aborted): ");
    assert_has(text,
               "`strlen(cache_topdir) > 0' failed.\n" FIX "POCL_CACHE_DIR is empty: unset it, or name a folder\n");
    free(text);
}

TEST(a_missing_helper_is_reported)
{
    need_opencl();
    wrong("ROWPOOL_HELPER=/nowhere/rowpool-helper \"$D\" doctor",
          "\nwrong  helper program    there is no program /nowhere/rowpool-helper\n" FIX
          "install rowpool with cmake --install, or set ROWPOOL_HELPER to its path\n");
}

TEST(invalid_variables_are_reported)
{
    char *text = run("ROWPOOL_DEVICES=cpu \"$D\" doctor", 0);
    assert_has(text,
               "\nnote   environment       ROWPOOL_DEVICES is not a variable of rowpool\n" FIX "rowpool environment\n");
    assert_lacks(text, "ROWPOOL_HELPER is not a variable");
    free(text);
    wrong("ROWPOOL_DEVICE=bogus \"$D\" doctor", "\nwrong  pool              the device 'bogus'");
    wrong("ROWPOOL_WORKERS=many \"$D\" doctor",
          "\nwrong  pool              ROWPOOL_WORKERS is 'many'; it must be a whole number from 1 to 1024\n" FIX
          "rowpool environment\n");
}

/* Control characters from variables and files never reach the terminal. */
TEST(control_characters_are_not_printed)
{
    need_opencl();
    char *text = run("POCL_CACHE_DIR=\"$(printf 'file/\\033[31m\\nok')\" \"$D\" doctor | grep cache", 0);
    assert_has(text, "file/?[31m?ok cannot be written");
    free(text);
}

TEST(wrong_arguments_are_refused)
{
    char *text = run("\"$D\" doctor --help", 0);
    assert_has(text, "Usage: rowpool doctor [--json]\n");
    free(text);
    text = run("\"$D\" doctor here", 2);
    assert_has(text, "rowpool: unexpected argument 'here'");
    free(text);
    text = run("\"$D\" doctor --device", 2);
    assert_has(text, "rowpool: unknown option '--device'");
    free(text);
    text = run("\"$D\" doctor >/dev/full", 1);
    assert_has(text, "rowpool: ");
    free(text);
}

/* ---- The folder ------------------------------------------------------------------------------------------------- */

static int enter_folder(__attribute__((unused)) void **state)
{
    if (getenv("ROWPOOL_PROGRAM") == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    has_opencl = system("\"$ROWPOOL_PROGRAM\" doctor | grep -q 'built without OpenCL'") != 0;
    return 0;
}

static int remove_folder(__attribute__((unused)) void **state)
{
    return chdir("/") == 0 && test_remove_folder(folder) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_machine_has_no_faults),
        cmocka_unit_test(a_missing_cache_is_no_fault),
        cmocka_unit_test(a_missing_driver_folder_is_reported),
        cmocka_unit_test(missing_drivers_are_reported),
        cmocka_unit_test(drivers_without_devices_are_reported),
        cmocka_unit_test(a_driver_that_aborts_is_reported),
        cmocka_unit_test(a_driver_that_hangs),
        cmocka_unit_test(an_unwritable_cache_is_reported),
        cmocka_unit_test(a_missing_linker_is_reported),
        cmocka_unit_test(a_damaged_cache_is_reported),
        cmocka_unit_test(a_cache_in_a_missing_folder_is_reported),
        cmocka_unit_test(a_missing_helper_is_reported),
        cmocka_unit_test(invalid_variables_are_reported),
        cmocka_unit_test(control_characters_are_not_printed),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
