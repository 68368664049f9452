#include "words.h"

#include <string.h>

#include "find_word.h"
#include "number.h"

/* ---- Plain text ------------------------------------------------------------------------------------------------- */

static const char MINUS[] = "\xe2\x88\x92";

/* The length of a no-break space at the beginning of the text, or 0. */
static size_t no_break_space(const char *text)
{
    return strncmp(text, "\xc2\xa0", 2) == 0 ? 2 : strncmp(text, "\xe2\x80\xaf", 3) == 0 ? 3 : 0;
}

/* The length of the text without no-break spaces at its end. */
static size_t trimmed_length(const char *text)
{
    for (size_t length = strlen(text);;) {
        if (length >= 2 && no_break_space(text + length - 2) == 2)
            length -= 2;
        else if (length >= 3 && no_break_space(text + length - 3) == 3)
            length -= 3;
        else
            return length;
    }
}

/* With a decimal comma, comma and point change places. */
static char plain_character(char c, char decimal)
{
    return decimal != ',' ? c : c == ',' ? '.' : c == '.' ? ',' : c;
}

static bool is_plain(const char *cell, char decimal)
{
    for (; *cell != '\0'; cell++) {
        if ((unsigned char)*cell >= 0x80 || *cell != plain_character(*cell, decimal))
            return false;
    }
    return true;
}

const char *plain_cell(buffer *scratch, const char *cell, char decimal)
{
    static const char *const booleans[] = {"0", "1"};
    const int boolean = strchr("TtFf", cell[0]) != NULL
                            ? find_word("False false FALSE True true TRUE", cell, strlen(cell))
                            : -1;
    if (boolean >= 0)
        return booleans[boolean / 3];
    if (is_plain(cell, decimal) || strcmp(cell, ".") == 0)
        return cell;
    for (size_t size; (size = no_break_space(cell)) > 0;)
        cell += size;
    const size_t length = trimmed_length(cell);
    clear_buffer(scratch);
    for (size_t i = 0; i < length; i++) {
        const bool minus = length - i >= strlen(MINUS) && memcmp(cell + i, MINUS, strlen(MINUS)) == 0;
        const char c = minus ? '-' : plain_character(cell[i], decimal);
        i += minus ? strlen(MINUS) - 1 : 0;
        append_bytes(scratch, &c, 1);
    }
    end_text(scratch);
    return scratch->bytes;
}

/* ---- Kinds ------------------------------------------------------------------------------------------------------ */

/* The first character rules out numbers quickly: most cells are numbers. */
bool is_missing(const char *plain)
{
    if (plain[0] == '\0' || strcmp(plain, "-") == 0 || strcmp(plain, ".") == 0)
        return true;
    return strchr("Nn#<?\\", plain[0]) != NULL &&
           find_word("NA N/A n/a #N/A <NA> NULL null None none ? \\N", plain, strlen(plain)) >= 0;
}

static bool is_number(const char *plain)
{
    double value;
    return parse_element(&value, ROWPOOL_FLOAT64, plain) != PARSED_NOTHING;
}

static bool is_ascii_letter(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Whether the text begins with a digit, fraction, exponent or other numeral, in UTF-8 or Latin-1. */
static bool begins_with_numeral(const char *text)
{
    static const struct {
        const char *before;
        unsigned char first, last; /* range of the next byte */
    } numerals[] = {
        {"", '0', '9'},           {"", 0xb2, 0xb3}, /* Latin-1, as what follows */
        {"", 0xb9, 0xb9},         {"", 0xbc, 0xbe},         {"\xc2", 0xb2, 0xb3},
        {"\xc2", 0xb9, 0xb9},     {"\xc2", 0xbc, 0xbe},     {"\xd9", 0xa0, 0xa9}, /* Arabic */
        {"\xdb", 0xb0, 0xb9},     {"\xe0\xa5", 0xa6, 0xaf}, /* Indic, from Devanagari to Malayalam */
        {"\xe0\xa7", 0xa6, 0xaf}, {"\xe0\xa9", 0xa6, 0xaf}, {"\xe0\xab", 0xa6, 0xaf},
        {"\xe0\xad", 0xa6, 0xaf}, {"\xe0\xaf", 0xa6, 0xaf}, {"\xe0\xb1", 0xa6, 0xaf},
        {"\xe0\xb3", 0xa6, 0xaf}, {"\xe0\xb5", 0xa6, 0xaf}, {"\xe0\xb9", 0x90, 0x99}, /* Thai */
        {"\xe0\xbb", 0x90, 0x99},                                                     /* Lao */
        {"\xe2\x81", 0xb0, 0xb9},                                                     /* above and below the line */
        {"\xe2\x82", 0x80, 0x89}, {"\xe2\x85", 0x90, 0xbf},                           /* fractions, Roman */
        {"\xe2\x88", 0x9e, 0x9e},                                                     /* infinity */
        {"\xe2\x91", 0xa0, 0xbf},                                                     /* in circles */
        {"\xef\xbc", 0x90, 0x99},                                                     /* wide */
    };
    for (size_t i = 0; i < sizeof numerals / sizeof *numerals; i++) {
        const size_t length = strlen(numerals[i].before);
        const unsigned char behind = strncmp(text, numerals[i].before, length) == 0 ? (unsigned char)text[length] : 0;
        if (behind >= numerals[i].first && behind <= numerals[i].last)
            return true;
    }
    return false;
}

/* Skips continuation bytes of UTF-8: no numeral begins there. */
static bool has_numeral(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((at == text || ((unsigned char)*at & 0xc0) != 0x80) && begins_with_numeral(at))
            return true;
    }
    return false;
}

/* A letter of any script, in UTF-8 or Latin-1, roughly: signs and currencies are excluded, except the micro sign and
 * the two ordinal indicators. */
static bool begins_with_letter(const char *cell)
{
    const unsigned char first = (unsigned char)cell[0];
    const unsigned char second = first != '\0' ? (unsigned char)cell[1] : 0;
    const bool letter = is_ascii_letter(first) ||
                        (first == 0xc2 && (second == 0xb5 || second == 0xaa || second == 0xba));
    const bool sign = first < 0xc3 || (first == 0xc3 && (second == 0x97 || second == 0xb7)) ||
                      (first == 0xe2 && second < 0xb0) || first == 0xef;
    return letter || !(sign || begins_with_numeral(cell));
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* Groups of digits with the same separator. The second group has one or two digits; in a number with thousands
 * separators it would have three. */
static bool begins_with_date(const char *cell)
{
    const size_t first = digits(cell);
    const char separator = cell[first];
    if (first == 0 || separator == '\0' || strchr("-/.:", separator) == NULL)
        return false;
    const char *rest = cell + first + 1;
    if (separator == '-' && is_ascii_letter((unsigned char)*rest))
        return true;
    const size_t second = digits(rest);
    if (separator == ':')
        return second == 2;
    if (second != 1 && second != 2)
        return false;
    rest += second;
    return (separator == '-' && *rest == '\0') || (*rest == separator && digits(rest + 1) > 0);
}

static bool is_cell_word(const char *cell)
{
    return begins_with_letter(cell) || begins_with_date(cell) || !has_numeral(cell);
}

cell_kind kind_of_cell(const char *cell, const char *plain)
{
    if (is_missing(plain))
        return CELL_MISSING;
    if (is_number(plain))
        return CELL_NUMBER;
    return is_cell_word(cell) ? CELL_WORD : CELL_DAMAGED;
}
