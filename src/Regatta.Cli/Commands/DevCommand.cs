using System.CommandLine;
using Regatta.Node;

namespace Regatta.Cli;

/// <summary><c>regatta dev</c>: everything in one process on loopback, for development.</summary>
internal static class DevCommand
{
    public const string Table = "default";

    /// <summary>Nodes of a site unless --nodes says otherwise.</summary>
    public const int DefaultNodes = 3;

    public static Command Create(Surroundings surroundings)
    {
        Option<int> nodes = new("--nodes") { Description = "Nodes of the site: 1, 3 or 5.", HelpName = "N", DefaultValueFactory = _ => DefaultNodes };
        Option<int> sites = new("--sites") { Description = "Sites. This version runs 1.", HelpName = "S", DefaultValueFactory = _ => 1 };
        Option<int> port = new("--base-port")
        {
            Description = "P: clients connect to P, replication is P+1, peers P+2, health and metrics P+3; the second node begins at P+10, and so on. "
                + "0: free ports.",
            HelpName = "P",
            DefaultValueFactory = _ => DevPorts.Default,
        };
        Option<string?> directory = new("--data-dir")
        {
            Description = "Where the data stays from one run to the next. [default: regatta/dev under XDG_STATE_HOME or ~/.local/state]",
            HelpName = "DIR",
        };
        Option<string> level = new("--log-level")
        {
            Description = "DEBUG, INFO, WARN or ERROR.",
            HelpName = "LEVEL",
            DefaultValueFactory = _ => "WARN",
        };
        Command command = new("dev",
            "Run a site for development in one process on 127.0.0.1, until Ctrl-C or SIGTERM. It makes a table `default` and prints `ready` when "
                + "every table accepts writes on every node. A node that fails ends the process.")
        {
            nodes, sites, port, directory, level,
        };
        command.SetAction((parsed, token) =>
        {
            RefuseMany(parsed.GetValue(nodes), parsed.GetValue(sites));
            string root = parsed.GetValue(directory) ?? DefaultDirectory(surroundings.Environment);
            NodeOptions[] options = Options(root, parsed.GetValue(nodes), parsed.GetValue(port), parsed.GetValue(level)!);
            return NodeRun.RunAsync(options, surroundings, Hints, token);
        });
        return command;
    }

    public static string DefaultDirectory(IReadOnlyDictionary<string, string> environment)
    {
        string? state = environment.GetValueOrDefault("XDG_STATE_HOME");
        // The XDG specification: a relative path is to be ignored.
        if (string.IsNullOrEmpty(state) || !Path.IsPathFullyQualified(state))
        {
            string home = environment.GetValueOrDefault("HOME") is { Length: > 0 } given
                ? given
                : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            state = home.Length > 0
                ? Path.Combine(home, ".local", "state")
                : throw CommandException.Usage("there is no home directory to keep the data in", "give --data-dir");
        }
        return Path.Combine(state, "regatta", "dev");
    }

    /// <summary>The options of every node of the leader site.</summary>
    /// <param name="root">The directory of all sites and nodes.</param>
    /// <param name="port">The client port of the first node; 0 for free ports.</param>
    /// <param name="level">As in the option log-level.</param>
    public static NodeOptions[] Options(string root, int nodes, int port, string level)
    {
        DevPorts ports = DevPorts.From(port, nodes);
        string members = string.Join(',', Enumerable.Range(1, nodes).Select(node => $"{node}={ports.PeerAddress(node)}"));
        return [.. Enumerable.Range(1, nodes).Select(node => Options(Path.GetFullPath(root), node, ports, members, level))];
    }

    private static NodeOptions Options(string root, int node, DevPorts ports, string members, string level)
    {
        OptionsOutcome outcome = OptionCatalog.Apply(
            new NodeOptions(),
            [
                new("data-dir", Path.Combine(root, "site-0", $"node-{node}")),
                new("log-level", level),
                new("tables.names", Table),
                new("api.address", ports.ClientUrl(node)),
                new("replication.address", ports.ReplicationUrl(node)),
                new("rest.address", ports.RestUrl(node)),
                new("raft.node-id", $"{node}"),
                new("raft.address", ports.PeerAddress(node)),
                new("raft.initial-members", members),
            ]);
        return outcome.Options ?? throw CommandException.Usage(string.Join("; ", outcome.Errors));
    }

    private static void RefuseMany(int nodes, int sites)
    {
        if (nodes is not (1 or 3 or 5))
            throw CommandException.Usage($"--nodes must be 1, 3 or 5, not {nodes}");
        if (sites < 1)
            throw CommandException.Usage("--sites must be at least 1");
        if (sites > 1)
            throw CommandException.Usage($"--sites {sites}: follower sites come with a later version; this one runs the leader site only", "leave --sites out");
    }

    private static IEnumerable<string> Hints(StartedNodes nodes)
    {
        bool isDefault = nodes.All is [{ Node.ApiAddress.Port: DevPorts.Default }];
        string endpoints = isDefault ? "" : " --endpoints " + string.Join(',', nodes.All.Select(started => started.Node.ApiAddress.EndPoint));
        yield return $"try it:  regatta kv put{endpoints} greeting hello";
    }
}
