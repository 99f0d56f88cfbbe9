using Regatta.Protocol.V1;

namespace Regatta.Client;

/// <summary>The Tables service. Errors as in <see cref="KeyValueCalls"/>.</summary>
public sealed class TableCalls
{
    private readonly CallRunner _runner;

    internal TableCalls(CallRunner runner) => _runner = runner;

    /// <summary>Completes when the table accepts writes.</summary>
    public Task<CreateTableResponse> CreateAsync(string name, CancellationToken token) =>
        _runner.WriteAsync((invoker, options) => new Tables.TablesClient(invoker).CreateAsync(new CreateTableRequest { Name = name }, options), token);

    public Task<DeleteTableResponse> DeleteAsync(string name, CancellationToken token) =>
        _runner.WriteAsync((invoker, options) => new Tables.TablesClient(invoker).DeleteAsync(new DeleteTableRequest { Name = name }, options), token);

    /// <summary>All tables, sorted by name.</summary>
    public Task<ListTablesResponse> ListAsync(CancellationToken token) =>
        _runner.ReadAsync((invoker, options) => new Tables.TablesClient(invoker).ListAsync(new ListTablesRequest(), options), token);
}
