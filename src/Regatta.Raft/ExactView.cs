using Regatta.Core;

namespace Regatta.Raft;

/// <summary>A table at the end of one log entry: a moment that every node of the site goes through. Not thread-safe.</summary>
/// <param name="View">Disposed with this.</param>
/// <param name="Chain">Chain hash at the view's revision.</param>
public sealed record ExactView(ITableView View, ChainHash Chain) : IDisposable
{
    public void Dispose() => View.Dispose();
}
