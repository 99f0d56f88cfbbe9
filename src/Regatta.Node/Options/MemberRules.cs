using System.Net;

namespace Regatta.Node;

/// <summary>What must hold of the nodes of a site, as far as one of them can tell.</summary>
internal static class MemberRules
{
    public static IEnumerable<string> Problems(NodeOptions options)
    {
        SiteMember? self = options.Members.FirstOrDefault(member => member.NodeId == options.RaftNodeId);
        if (self is null)
            yield return $"raft.initial-members must contain this node, whose raft.node-id is {options.RaftNodeId}";
        if (options.Members.Length is not (1 or 3 or 5))
        {
            yield return $"raft.initial-members names {options.Members.Length} nodes; a site has 1, 3 or 5: "
                + "one more than an odd number adds a node that may fail, and none that may be missed";
        }
        if (!options.HasOtherNodes)
            yield break;
        foreach (string problem in options.Members.Select(AddressProblem).OfType<string>().Concat(SharedAddresses(options)))
            yield return "raft.initial-members: " + problem;
        foreach (string problem in ListenProblems(options.RaftAddress, self))
            yield return problem;
    }

    private static string? AddressProblem(SiteMember member)
    {
        bool isAddress = HostPort.TrySplit(member.Address, out string? host, out int port);
        if (!isAddress || port == 0)
            return $"node {member.NodeId} has the address {member.Address}; it must have a port from 1 to 65535, or the others could not dial it";
        bool isAny = IPAddress.TryParse(host, out IPAddress? ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any));
        return isAny ? $"node {member.NodeId} has the address {member.Address}, which stands for all interfaces; name one that the others can dial" : null;
    }

    private static IEnumerable<string> SharedAddresses(NodeOptions options) => options.Members
        .GroupBy(member => member.Address, StringComparer.OrdinalIgnoreCase)
        .Where(members => members.Count() > 1)
        .Select(members => $"nodes {string.Join(" and ", members.Select(member => member.NodeId))} have the same address {members.Key}");

    private static IEnumerable<string> ListenProblems(string listen, SiteMember? self)
    {
        if (!HostPort.TrySplit(listen, out string? host, out int port))
            yield break;
        if (port == 0)
            yield return "raft.address must have a port from 1 to 65535 in a site of several nodes: the others know it from raft.initial-members";
        bool othersDialElsewhere = self is not null
            && HostPort.TrySplit(self.Address, out string? dialled, out _)
            && IPAddress.TryParse(dialled, out _)
            && !HostPort.IsLoopback(dialled);
        if (HostPort.IsLoopback(host) && othersDialElsewhere)
            yield return $"raft.address {listen} is reached from this machine only, but the others will dial {self!.Address}; set it to that, or to 0.0.0.0:{port}";
    }
}
