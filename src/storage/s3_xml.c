/* The answers of S3, read with expat. What has a document type is refused, so that there are no
 * entities to expand. */
#include "storage/s3_int.h"

#include <expat.h>

#define DEPTH_MAX 16u
#define PATH_BYTES_MAX 512u
#define TEXT_BYTES_MAX 65536u

struct reader {
    XML_Parser parser;
    s3_xml_cb element;
    void *context;
    char path[PATH_BYTES_MAX];
    size_t path_len;
    unsigned depth;
    struct buf text;
    enum err err;
};

static void stop(struct reader *reader, enum err err)
{
    reader->err = err;
    (void)XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL start_element(void *context, const char *name, UNUSED const char **attributes)
{
    struct reader *reader = context;
    size_t len = strlen(name);
    if (reader->depth >= DEPTH_MAX || len + 2 > PATH_BYTES_MAX - reader->path_len) {
        stop(reader, ERR_CORRUPT);
        return;
    }
    reader->path[reader->path_len++] = '/';
    memcpy(reader->path + reader->path_len, name, len);
    reader->path_len += len;
    reader->depth++;
    buf_reset(&reader->text);
}

static void XMLCALL end_element(void *context, const char *name)
{
    struct reader *reader = context;
    if (buf_failed(&reader->text)) {
        stop(reader, reader->text.len >= TEXT_BYTES_MAX / 2 ? ERR_CORRUPT : ERR_NOMEM);
        return;
    }
    struct slice path = {reader->path, reader->path_len};
    if (!reader->element(reader->context, path, buf_slice(&reader->text))) {
        stop(reader, ERR_NOMEM);
        return;
    }
    buf_reset(&reader->text);
    reader->path_len -= strlen(name) + 1;
    reader->depth--;
}

static void XMLCALL add_text(void *context, const char *text, int len)
{
    struct reader *reader = context;
    buf_append(&reader->text, text, (size_t)len);
}

static void XMLCALL refuse_doctype(void *context, UNUSED const char *name,
                                   UNUSED const char *system, UNUSED const char *public,
                                   UNUSED int has_internal)
{
    stop(context, ERR_CORRUPT);
}

enum err s3__xml_read(struct slice xml, s3_xml_cb element, void *context, struct errinfo *info)
{
    struct reader reader = {.element = element, .context = context};
    reader.text.bytes_max = TEXT_BYTES_MAX;
    reader.parser = XML_ParserCreate("UTF-8");
    if (reader.parser == NULL) {
        return errinfo_nomem(info);
    }
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, start_element, end_element);
    XML_SetCharacterDataHandler(reader.parser, add_text);
    XML_SetStartDoctypeDeclHandler(reader.parser, refuse_doctype);
    bool is_read = xml.len <= INT32_MAX &&
                   XML_Parse(reader.parser, xml.ptr, (int)xml.len, XML_TRUE) == XML_STATUS_OK;
    enum XML_Error code = XML_GetErrorCode(reader.parser);
    XML_ParserFree(reader.parser);
    buf_fini(&reader.text);
    if (is_read && reader.err == ERR_OK) {
        return ERR_OK;
    }
    if (reader.err == ERR_NOMEM || code == XML_ERROR_NO_MEMORY) {
        return errinfo_nomem(info);
    }
    return errinfo_set(info, ERR_CORRUPT, NULL, "the storage's answer cannot be read");
}

/* ---- errors ---- */

struct failure {
    char *code;
    char *region;
};

static bool read_error(void *context, struct slice path, struct slice text)
{
    struct failure *failure = context;
    if (slice_equal(path, SLICE("/Error/Code")) && text.len < S3_ERROR_BYTES) {
        memcpy(failure->code, text.ptr, text.len);
        failure->code[text.len] = '\0';
    } else if (slice_equal(path, SLICE("/Error/Region")) && s3__region_is_valid(text)) {
        memcpy(failure->region, text.ptr, text.len);
        failure->region[text.len] = '\0';
    }
    return true;
}

void s3__error_code(struct slice xml, char ret_code[S3_ERROR_BYTES],
                    char ret_region[S3_REGION_BYTES])
{
    struct failure failure = {ret_code, ret_region};
    ret_code[0] = '\0';
    ret_region[0] = '\0';
    if (xml.len == 0 || s3__xml_read(xml, read_error, &failure, NULL) != ERR_OK) {
        ret_code[0] = '\0';
    }
    for (char *c = ret_code; *c != '\0'; c++) { /* it goes into messages */
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9'))) {
            ret_code[0] = '\0';
            break;
        }
    }
}
