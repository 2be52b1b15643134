/* What systemd is told (sd_notify(3)): a datagram to the socket that $NOTIFY_SOCKET names. Nothing
 * happens without one. Internal. */
#pragma once

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
