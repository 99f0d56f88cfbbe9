using System.CommandLine;
using System.Net;
using Regatta.Node;

namespace Regatta.Cli;

/// <summary><c>regatta dev</c>: everything in one process on loopback, for development.</summary>
internal static class DevCommand
{
    public const string Table = "default";

    private const int DefaultPort = 8443;

    // Of node n of site s, counted from its client port: see the ports in the documentation.
    private const int Replication = 1;
    private const int Peers = 2;
    private const int Rest = 3;

    public static Command Create(Surroundings surroundings)
    {
        Option<int> nodes = new("--nodes") { Description = "Nodes per site. This version runs 1.", HelpName = "N", DefaultValueFactory = _ => 1 };
        Option<int> sites = new("--sites") { Description = "Sites. This version runs 1.", HelpName = "S", DefaultValueFactory = _ => 1 };
        Option<int> port = new("--base-port")
        {
            Description = "P: clients connect to P, replication is P+1, peers P+2, health and metrics P+3. 0: the system chooses free ports.",
            HelpName = "P",
            DefaultValueFactory = _ => DefaultPort,
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
            "Run a node for development on 127.0.0.1, until Ctrl-C or SIGTERM. It makes a table `default` and prints `ready` when every table "
                + "accepts writes.")
        {
            nodes, sites, port, directory, level,
        };
        command.SetAction((parsed, token) =>
        {
            RefuseMany(parsed.GetValue(nodes), parsed.GetValue(sites));
            string root = parsed.GetValue(directory) ?? DefaultDirectory(surroundings.Environment);
            NodeOptions options = Options(root, parsed.GetValue(port), parsed.GetValue(level)!);
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

    /// <param name="root">The directory of all sites and nodes.</param>
    /// <param name="port">The client port of the first node; 0 for ports that the system chooses.</param>
    /// <param name="level">As in the option log-level.</param>
    public static NodeOptions Options(string root, int port, string level)
    {
        if (port is < 0 or > 65535 - Rest)
            throw CommandException.Usage($"--base-port must be from 0 to {65535 - Rest}, not {port}");
        OptionsOutcome outcome = OptionCatalog.Apply(
            new NodeOptions(),
            [
                new("data-dir", Path.Combine(Path.GetFullPath(root), "site-0", "node-1")),
                new("log-level", level),
                new("tables.names", Table),
                new("api.address", Url(port, 0)),
                new("replication.address", Url(port, Replication)),
                new("raft.address", Url(port, Peers)["http://".Length..]),
                new("rest.address", Url(port, Rest)),
            ]);
        return outcome.Options ?? throw CommandException.Usage(string.Join("; ", outcome.Errors));
    }

    private static string Url(int port, int offset) => $"http://{IPAddress.Loopback}:{(port == 0 ? 0 : port + offset)}";

    private static void RefuseMany(int nodes, int sites)
    {
        if (nodes < 1 || sites < 1)
            throw CommandException.Usage("--nodes and --sites must be at least 1");
        if (nodes > 1)
        {
            throw CommandException.Usage(
                $"--nodes {nodes}: several nodes in a site come with a later version; this one runs a single node", "leave --nodes out");
        }
        if (sites > 1)
            throw CommandException.Usage($"--sites {sites}: follower sites come with a later version; this one runs the leader site only", "leave --sites out");
    }

    private static IEnumerable<string> Hints(RegattaNode node)
    {
        string endpoints = node.ApiAddress.Port == DefaultPort ? "" : $" --endpoints {node.ApiAddress.EndPoint}";
        yield return $"try it:  regatta kv put{endpoints} greeting hello";
    }
}
