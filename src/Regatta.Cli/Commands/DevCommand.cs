using System.CommandLine;
using Regatta.Node;
using Regatta.Storage;

namespace Regatta.Cli;

/// <summary><c>regatta dev</c>: everything in one process on loopback, for development.</summary>
internal static class DevCommand
{
    public const string Table = "default";

    /// <summary>Nodes of a site unless --nodes says otherwise.</summary>
    public const int DefaultNodes = 3;

    private const int MostSites = 10;

    public static Command Create(Surroundings surroundings)
    {
        Option<int> nodes = new("--nodes") { Description = "Nodes of the leader site: 1, 3 or 5.", HelpName = "N", DefaultValueFactory = _ => DefaultNodes };
        Option<int> sites = new("--sites") { Description = "Sites: the leader site, and follower sites of one node each; 1 to 10.", HelpName = "S", DefaultValueFactory = _ => 1 };
        Option<int> port = new("--base-port")
        {
            Description = "P: clients connect to P, replication is P+1, peers P+2, health and metrics P+3; the second node begins at P+10, the second site at P+100, "
                + "and so on. 0: free ports.",
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
            "Run a leader site for development, and follower sites if wanted, in one process on 127.0.0.1, until Ctrl-C or SIGTERM. It makes a table `default` and prints "
                + "`ready` when every table accepts writes on every node. A node that fails ends the process.")
        {
            nodes, sites, port, directory, level,
        };
        command.SetAction((parsed, token) =>
        {
            DevSize size = new(parsed.GetValue(nodes), parsed.GetValue(sites));
            RefuseMany(size);
            string root = parsed.GetValue(directory) ?? DefaultDirectory(surroundings.Environment);
            NodeOptions[] options = Options(root, size, parsed.GetValue(port), parsed.GetValue(level)!);
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

    /// <summary>The options of every node, those of the leader site first.</summary>
    /// <param name="root">The directory of all sites and nodes.</param>
    /// <param name="port">The client port of the first node; 0 for free ports.</param>
    /// <param name="level">As in the option log-level.</param>
    public static NodeOptions[] Options(string root, DevSize size, int port, string level)
    {
        DevPorts ports = DevPorts.From(port, size);
        return [.. size.All.Select(place => Options(Path.GetFullPath(root), place.Site, place.Node, size, ports, level))];
    }

    private static NodeOptions Options(string root, int site, int node, DevSize size, DevPorts ports, string level)
    {
        string name = size.Sites > 1 ? $"site-{site}-node-{node}" : "";
        string members = string.Join(',', Enumerable.Range(1, site == 0 ? size.Nodes : 1).Select(member => $"{member}={ports.PeerAddress(site, member)}"));
        string leaders = string.Join(',', Enumerable.Range(1, size.Nodes).Select(member => ports.ReplicationUrl(0, member)));
        KeyValuePair<string, string> ofSite = site == 0 ? new("tables.names", Table) : new("replication.leader-address", leaders);
        OptionsOutcome outcome = OptionCatalog.Apply(
            new NodeOptions { Role = site == 0 ? NodeRole.Leader : NodeRole.Follower },
            [
                new("memberlist.cluster-name", $"site-{site}"),
                new("data-dir", Path.Combine(root, $"site-{site}", $"node-{node}")),
                new("log-level", level),
                new("memberlist.node-name", name),
                new("api.address", ports.ClientUrl(site, node)),
                new("replication.address", ports.ReplicationUrl(site, node)),
                new("rest.address", ports.RestUrl(site, node)),
                new("raft.node-id", $"{node}"),
                new("raft.address", ports.PeerAddress(site, node)),
                new("raft.initial-members", members),
                ofSite,
            ]);
        return outcome.Options ?? throw CommandException.Usage(string.Join("; ", outcome.Errors));
    }

    private static void RefuseMany(DevSize size)
    {
        if (size.Nodes is not (1 or 3 or 5))
            throw CommandException.Usage($"--nodes must be 1, 3 or 5, not {size.Nodes}");
        if (size.Sites is < 1 or > MostSites)
            throw CommandException.Usage($"--sites must be from 1 to {MostSites}, not {size.Sites}");
    }

    private static IEnumerable<string> Hints(StartedNodes nodes)
    {
        yield return $"try it:  regatta kv put{Endpoints(nodes, NodeRole.Leader)} greeting hello";
        if (nodes.All.Any(static started => started.Options.Role == NodeRole.Follower))
            yield return $"         regatta kv get{Endpoints(nodes, NodeRole.Follower)} greeting";
    }

    /// <summary>The flag that names the nodes of that kind of site; empty where the client finds them without.</summary>
    private static string Endpoints(StartedNodes nodes, NodeRole role)
    {
        StartedNode[] all = [.. nodes.All.Where(started => started.Options.Role == role)];
        bool isDefault = all is [{ Node.ApiAddress.Port: DevPorts.Default }];
        return isDefault ? "" : " --endpoints " + string.Join(',', all.Select(static started => started.Node.ApiAddress.EndPoint));
    }
}
