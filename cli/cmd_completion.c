// SPDX-License-Identifier: Apache-2.0
/* cmd_completion.c - `ripstop completion SHELL`: the few lines by which a shell asks __complete. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* bash breaks words at = and : too; the line is split anew, and what stands before = taken off. */
static const char bash[] =
	"# ripstop: completion for bash. To have it: source <(ripstop completion bash)\n"
	"_ripstop() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} words cur out directive=4\n"
	"\tread -ra words <<<\"$line\"\n"
	"\t[[ $line == *[[:space:]] ]] && words+=(\"\")\n"
	"\tcur=${words[${#words[@]} - 1]}\n"
	"\tCOMPREPLY=()\n"
	"\twhile IFS= read -r out; do\n"
	"\t\tcase $out in\n"
	"\t\t:*) directive=${out#:} ;;\n"
	"\t\t*) COMPREPLY+=(\"${out%%$'\\t'*}\") ;;\n"
	"\t\tesac\n"
	"\tdone < <(\"${words[0]}\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
	"\tif [[ $cur == --*=* && $COMP_WORDBREAKS == *=* ]]; then\n"
	"\t\tCOMPREPLY=(\"${COMPREPLY[@]#*=}\")\n"
	"\tfi\n"
	"\tif ((directive & 2)); then\n"
	"\t\tcompopt -o nospace 2>/dev/null\n"
	"\telif ((directive == 0)); then\n"
	"\t\tcompopt -o default 2>/dev/null\n"
	"\tfi\n"
	"}\n"
	"complete -F _ripstop ripstop\n";

static const char zsh[] =
	"#compdef ripstop\n"
	"# ripstop: completion for zsh. To have it: source <(ripstop completion zsh)\n"
	"_ripstop() {\n"
	"\tlocal line directive=:4\n"
	"\tlocal -a items\n"
	"\tfor line in ${(f)\"$(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" "
	"2>/dev/null)\"}; do\n"
	"\t\tif [[ $line == :* ]]; then\n"
	"\t\t\tdirective=$line\n"
	"\t\telse\n"
	"\t\t\titems+=(\"${${line//:/\\\\:}/$'\\t'/:}\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ $directive == :0 ]]; then\n"
	"\t\t_files\n"
	"\telif (( ${#items} )) && [[ $directive == :6 ]]; then\n"
	"\t\t_describe ripstop items -S ''\n"
	"\telif (( ${#items} )); then\n"
	"\t\t_describe ripstop items\n"
	"\tfi\n"
	"}\n"
	"compdef _ripstop ripstop\n";

static const char fish[] =
	"# ripstop: completion for fish. To have it: ripstop completion fish | source\n"
	"function __ripstop_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l cur (commandline -ct)\n"
	"\tset -l out (command $words[1] __complete $words[2..-1] \"$cur\" 2>/dev/null)\n"
	"\tset -q out[1]; or return\n"
	"\tif test \"$out[-1]\" = ':0'\n"
	"\t\t__fish_complete_path \"$cur\"\n"
	"\t\treturn\n"
	"\tend\n"
	"\tfor line in $out\n"
	"\t\tstring match -qr '^:\\d+$' -- $line; or echo $line\n"
	"\tend\n"
	"end\n"
	"complete -c ripstop -f -a '(__ripstop_complete)'\n";

/* kubectl runs kubectl_complete-NAME with what stands behind "kubectl NAME" (1.26 and later). */
static const char kubectl[] = "#!/bin/sh\n"
			      "# Completion of `kubectl ripstop` for kubectl 1.26 and later.\n"
			      "exec kubectl-ripstop __complete \"$@\"\n";

#define PLUGIN "kubectl-ripstop"
#define COMPLETER "kubectl_complete-ripstop"

static const struct {
	const char *name, *text;
} shells[] = {
	{ "bash", bash },
	{ "zsh", zsh },
	{ "fish", fish },
	{ "kubectl", kubectl },
};

/* ---- --install ------------------------------------------------------------------------------- */

/* The folder of kubectl-ripstop: our own, or the first of PATH that holds it. NULL: nowhere. */
static char *folder_of_plugin(void)
{
	rs_autofree char *path = rs_strdup(getenv("PATH") ? getenv("PATH") : "");
	char own[4096], *save = NULL, *dir;
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash && !strcmp(slash + 1, PLUGIN))
		return rs_strndup(own, (size_t)(slash - own));
	for (dir = strtok_r(path, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		rs_autofree char *file = rs_asprintf("%s/" PLUGIN, dir);

		if (access(file, X_OK) == 0)
			return rs_strdup(dir);
	}
	return NULL;
}

/* Whole or not at all. 0, or an errno. */
static int write_program(const char *file, const char *text)
{
	rs_autofree char *temp = rs_asprintf("%s.new", file);
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0755), rc = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, 0755) < 0)
		rc = errno ? errno : EIO;
	if (close(fd) < 0 && !rc)
		rc = errno;
	if (!rc && rename(temp, file) < 0)
		rc = errno;
	if (rc)
		unlink(temp);
	return rc;
}

static int install(struct cli_run *r)
{
	rs_autofree char *dir = folder_of_plugin(), *file = NULL;
	int rc;

	if (!dir) {
		cli_error(
			"install it first, or write the file yourself: ripstop completion kubectl",
			PLUGIN " is nowhere in PATH");
		return CLI_NOT_FOUND;
	}
	file = rs_asprintf("%s/" COMPLETER, dir);
	rc = write_program(file, kubectl);
	if (rc) {
		cli_error("run it as who may write there, or write the file yourself: "
			  "ripstop completion kubectl",
			  "write %s: %s", file, strerror(rc));
		return CLI_NO_AGENT;
	}
	cli_put_safe(r, file);
	cli_put(r, "\n");
	return CLI_YES;
}

int cli_cmd_completion(struct cli_run *r)
{
	const char *shell = r->operands[0];
	size_t i;

	if (r->opt.install && strcmp(shell, "kubectl")) {
		cli_error("write it where your shell looks, for instance: ripstop completion bash "
			  ">/etc/bash_completion.d/ripstop",
			  "--install is about kubectl, not about %s", shell);
		return CLI_USAGE;
	}
	if (r->opt.install)
		return install(r);
	for (i = 0; i < RS_ARRAY_SIZE(shells); i++)
		if (!strcmp(shell, shells[i].name)) {
			cli_put(r, shells[i].text);
			return CLI_YES;
		}
	cli_error("bash, zsh, fish, kubectl", "completion: \"%s\" is no shell that is known here",
		  shell);
	return CLI_USAGE;
}
