/* The configuration of one warehouse: that of its own folder among the sources. */
#include <stdio.h>

#include "base/mem.h"
#include "config/config.h"

/* The file of the warehouse may not say where the warehouse is: it would not be that one's. */
static enum err refuse_moved(const struct config *config, struct errinfo *info)
{
    if (strncmp(config_source(config, CONFIG_WAREHOUSE_PATH), "file ", 5) != 0) {
        return ERR_OK;
    }
    enum err err = errinfo_set(info, ERR_INVALID, "22023",
                               "a warehouse's own moat.yaml cannot set \"warehouse.path\"");
    errinfo_hint(info, "use --warehouse DIR, MOAT_WAREHOUSE_PATH or a file given with --config");
    return err;
}

enum err config_load_warehouse(const struct config_sources *given, struct config **ret_config,
                               struct errinfo *info)
{
    struct config_sources sources = *given;
    struct config *config CLEANUP(config_cleanup) = NULL;
    struct config *whole CLEANUP(config_cleanup) = NULL;
    struct buf file CLEANUP(buf_fini) = {0};
    TRY(config_load(&sources, &config, info));
    if (given->file != NULL) {
        *ret_config = TAKE(config);
        return ERR_OK;
    }
    /* Now that the folder is known, its own file. */
    buf_printf(&file, "%s/moat.yaml", config_text(config, CONFIG_WAREHOUSE_PATH));
    if (buf_failed(&file)) {
        return errinfo_nomem(info);
    }
    sources.file = buf_cstr(&file);
    sources.file_is_optional = true;
    TRY(config_load(&sources, &whole, info));
    TRY(refuse_moved(whole, info));
    *ret_config = TAKE(whole);
    return ERR_OK;
}
