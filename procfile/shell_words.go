package procfile

// shellWords are the reserved words and builtins of dash 0.5.12, bash 5.2 and
// busybox 1.35's ash, sorted by their bytes.
var shellWords = []string{
	"!", ".", ":", "[", "[[", "]]", "alias", "bg", "bind", "break", "builtin",
	"caller", "case", "cd", "chdir", "command", "compgen", "complete",
	"compopt", "continue", "coproc", "declare", "dirs", "disown", "do", "done",
	"echo", "elif", "else", "enable", "esac", "eval", "exec", "exit", "export",
	"false", "fc", "fg", "fi", "for", "function", "getopts", "hash", "help",
	"history", "if", "in", "jobs", "kill", "let", "local", "logout", "mapfile",
	"popd", "printf", "pushd", "pwd", "read", "readarray", "readonly",
	"return", "select", "set", "shift", "shopt", "source", "suspend",
	"test", "then", "time", "times", "trap", "true", "type", "typeset",
	"ulimit", "umask", "unalias", "unset", "until", "wait", "while", "{", "}",
}

// shellVariables are the variables that one of these shells sets by itself
// even where the environment has them, sorted by their bytes; bash's BASH*
// and COMP_* besides.
var shellVariables = []string{
	"DIRSTACK", "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME", "GROUPS",
	"HISTCMD", "IFS", "LINENO", "OLDPWD", "OPTARG", "OPTERR", "OPTIND",
	"PIPESTATUS", "POSIXLY_CORRECT", "PPID", "PS1", "PS2", "PS4", "PWD",
	"RANDOM", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "UID", "_",
}
