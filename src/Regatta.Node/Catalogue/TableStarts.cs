using System.Collections.Immutable;

namespace Regatta.Node;

/// <summary>
/// The tables that a pass starts. A start may wait for other nodes for as long as they are away, when this node's disk was lost; of a table that is deleted meanwhile
/// there is nothing to wait for: its start is cancelled as soon as this node's catalogue says so.
/// </summary>
internal sealed class TableStarts : IAsyncDisposable
{
    private readonly Catalogue _catalogue;
    private readonly CancellationTokenSource _over;
    private readonly Dictionary<long, CancellationTokenSource> _starts;
    private readonly Task _watching;

    /// <param name="catalogue">Read until the starts are over.</param>
    /// <param name="state">In which the tables are missing.</param>
    /// <param name="missing">Tables of <paramref name="state"/>.</param>
    /// <param name="cancellationToken">Cancels all starts.</param>
    public TableStarts(Catalogue catalogue, CatalogueState state, ImmutableArray<CatalogueTable> missing, CancellationToken cancellationToken)
    {
        _catalogue = catalogue;
        _over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _starts = missing.ToDictionary(static table => table.GroupId, _ => CancellationTokenSource.CreateLinkedTokenSource(cancellationToken));
        _watching = WatchAsync(state.Revision);
    }

    /// <summary>For the start of one of the tables.</summary>
    public CancellationToken Token(CatalogueTable table) => _starts[table.GroupId].Token;

    /// <summary>To be called when all starts are over. Throws what kept the catalogue from being read meanwhile.</summary>
    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        try
        {
            await _watching;
        }
        catch (OperationCanceledException) when (_over.IsCancellationRequested)
        {
            // The starts are over.
        }
        finally
        {
            foreach (CancellationTokenSource start in _starts.Values)
                start.Dispose();
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
                await CancelAsync(_starts.Keys.Except(state.Tables.Select(static table => table.GroupId)));
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Nobody would notice a deletion any more.
            await CancelAsync(_starts.Keys);
            throw;
        }
    }

    private async Task CancelAsync(IEnumerable<long> groups)
    {
        foreach (long group in groups)
            await _starts[group].CancelAsync();
    }
}
