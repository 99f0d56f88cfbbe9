using System.Runtime.CompilerServices;
using Regatta.Client;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

/// <summary>Reads a range as pages and prints them.</summary>
internal static class RangeReading
{
    /// <returns>How many keys were found.</returns>
    public static async Task<long> PrintAsync(RegattaClient client, RangeRequest request, KeyValuePrinter printer, CancellationToken token)
    {
        long found = 0;
        await foreach (RangeResponse page in Pages(client, request, token))
        {
            found += request.CountOnly ? page.Count : page.Kvs.Count;
            await printer.PageAsync(page, token);
        }
        await printer.EndAsync(token);
        return found;
    }

    // A count is one message; so is one key. Everything else comes as a stream of one consistent view.
    private static async IAsyncEnumerable<RangeResponse> Pages(RegattaClient client, RangeRequest request, [EnumeratorCancellation] CancellationToken token)
    {
        if (request.CountOnly || request.RangeEnd.IsEmpty)
        {
            yield return await client.Kv.RangeAsync(request, token);
            yield break;
        }
        await foreach (RangeResponse page in client.Kv.IterateAsync(request, token))
            yield return page;
    }
}
