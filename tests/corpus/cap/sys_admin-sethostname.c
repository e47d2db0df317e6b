// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/utsname.h>

static int set_host_name(void)
{
	struct utsname name;
	must(uname(&name) == 0, "ask for the host name");
	return verdict("set the host name", sethostname(name.nodename, strlen(name.nodename)));
}

PROGRAM(set_host_name, .capabilities = "CAP_SYS_ADMIN", .asks = "__do_sys_sethostname", .note = "to the name that it has");
