using System.Collections.Immutable;

namespace Regatta.Node;

/// <summary>
/// The tables that a pass starts. A start may wait for other nodes for as long as they are away, when this node's disk was lost; of a table that is deleted meanwhile
/// there is nothing to wait for: that is known here as soon as this node's catalogue says so.
/// </summary>
internal sealed class TableStarts : IAsyncDisposable
{
    private readonly Catalogue _catalogue;
    private readonly CancellationTokenSource _over;
    private readonly ImmutableDictionary<long, CancellationTokenSource> _deleted;
    private readonly Task _watching;

    /// <param name="catalogue">Read until the starts are over.</param>
    /// <param name="state">In which the tables are missing.</param>
    /// <param name="missing">Tables of <paramref name="state"/>.</param>
    /// <param name="cancellationToken">Cancels all starts.</param>
    public TableStarts(Catalogue catalogue, CatalogueState state, ImmutableArray<CatalogueTable> missing, CancellationToken cancellationToken)
    {
        _catalogue = catalogue;
        _over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _deleted = missing.ToImmutableDictionary(static table => table.GroupId, static _ => new CancellationTokenSource());
        _watching = WatchAsync(state.Revision);
    }

    /// <summary>Cancelled when all starts are to end, also because the catalogue cannot be read any more.</summary>
    public CancellationToken Token => _over.Token;

    /// <summary>Cancelled when the table is deleted.</summary>
    public CancellationToken Deleted(CatalogueTable table) => _deleted[table.GroupId].Token;

    /// <summary>To be called when all starts are over. Throws what kept the catalogue from being read meanwhile.</summary>
    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        try
        {
            await _watching;
        }
        catch (OperationCanceledException)
        {
            // The starts are over.
        }
        finally
        {
            foreach (CancellationTokenSource source in _deleted.Values)
                source.Dispose();
            _over.Dispose();
        }
    }

    private async Task WatchAsync(long seen)
    {
        try
        {
            while (true)
            {
                await _catalogue.Group.WaitForRevisionAsync(seen + 1, _over.Token);
                CatalogueState state = await _catalogue.ReadAsync(_over.Token);
                seen = state.Revision;
                foreach (long group in _deleted.Keys.Except(state.Tables.Select(static table => table.GroupId)))
                    await _deleted[group].CancelAsync();
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Nobody would notice a deletion any more.
            await _over.CancelAsync();
            throw;
        }
    }
}
