using System.CommandLine;

namespace Regatta.Cli;

/// <summary><c>regatta completion</c>: scripts that make the shell ask this program what could come next.</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        # bash completion for regatta. Load it with:  source <(regatta completion bash)
        _regatta() {
            local candidate word="${COMP_WORDS[COMP_CWORD]}"
            COMPREPLY=()
            while IFS= read -r candidate; do
                [[ "$candidate" == "$word"* ]] && COMPREPLY+=("$candidate")
            done < <(regatta "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)
        }
        complete -o default -F _regatta regatta
        """;

    private const string Zsh = """
        #compdef regatta
        # zsh completion for regatta. Load it with:  source <(regatta completion zsh)
        _regatta() {
            local -a candidates
            candidates=("${(@f)$(regatta "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
            compadd -- ${candidates:#}
        }
        compdef _regatta regatta
        """;

    private const string Fish = """
        # fish completion for regatta. Load it with:  regatta completion fish | source
        complete -c regatta -f -a '(regatta "[suggest:"(commandline -C)"]" (commandline -b) 2>/dev/null)'
        """;

    public static Command Create(Surroundings surroundings)
    {
        Command completion = new("completion", "Print a completion script for a shell.");
        foreach ((string shell, string script, string load) in (ReadOnlySpan<(string, string, string)>)
            [
                ("bash", Bash, "source <(regatta completion bash)"), ("zsh", Zsh, "source <(regatta completion zsh)"),
                ("fish", Fish, "regatta completion fish | source"),
            ])
        {
            Command command = new(shell, $"For {shell}: {load}");
            command.SetAction(async (_, token) =>
            {
                OutputSink output = new(surroundings.Output);
                output.WriteLine(script);
                await output.FlushAsync(token);
                return ExitCode.Ok;
            });
            completion.Add(command);
        }
        return completion;
    }
}
