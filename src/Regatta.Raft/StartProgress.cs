namespace Regatta.Raft;

/// <summary>What a node that starts is waiting for, in words for the operator. Written by whoever waits, read by whoever is asked; thread-safe.</summary>
public sealed class StartProgress
{
    private volatile Func<string> _waitsFor = static () => "opening its log";
    private volatile ISiteLink? _site;

    /// <summary>What goes on after "the node is starting: ", as things are now; names each node that cannot be reached, and why.</summary>
    public string WaitsFor => string.Join("; ", [_waitsFor(), .. _site?.Unreachable ?? []]);

    /// <param name="site">The nodes without which the start may not get on.</param>
    public void Needs(ISiteLink site) => _site = site;

    public void Say(string what) => _waitsFor = () => what;

    /// <param name="what">Asked on any thread whenever somebody wants to know. Quick, and does not throw.</param>
    public void Say(Func<string> what) => _waitsFor = what;
}
