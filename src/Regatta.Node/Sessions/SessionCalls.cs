using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Primitives;
using Regatta.Protocol.Sessions;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>
/// Runs the calls that carry a session token. Each is told what the session has seen of its table; the life of the table must be the one seen, or the call is refused (G7). Every reply
/// brings the token with what it has seen itself, an error the token as far as it is known.
/// </summary>
/// <param name="isUnderGo">The leader site is one of the Go project: its groups have other numbers than the ones here.</param>
internal sealed class SessionCalls(ServedTables tables, TableReconciler reconciler, Guid history, bool isUnderGo, CallDeadlines deadlines)
{
    private const string GoOn = $"the trailer {SessionToken.MetadataName} of this reply has a token to go on with";

    private readonly ParsedTokens _parsed = new();

    public static bool Carries(ServerCallContext context) => context.GetHttpContext().Request.Headers.ContainsKey(SessionToken.MetadataName);

    /// <param name="call">Is given the revision of the table that the session has seen, 0 if none.</param>
    public Task<TReply> RunAsync<TReply>(ByteString table, Func<ulong, Task<TReply>> call, Func<TReply, ResponseHeader> header, ServerCallContext context)
    {
        CallSession session = new(Token(context), context);
        // As nearly all go: of a table that is here in the life that was seen.
        return SeenHere(session, table) is { } seen
            ? EndAsync(session, table, Begin(call, seen), header)
            : WaitAndRunAsync(session, table, call, header, context);
    }

    /// <summary>As <see cref="RunAsync"/>, for a stream of replies that all show the same revision.</summary>
    public async Task StreamAsync(
        ByteString table, Func<ulong, IServerStreamWriter<RangeResponse>, Task> call, IServerStreamWriter<RangeResponse> replies, ServerCallContext context)
    {
        using CallSession session = new(Token(context), context);
        ulong seen = await SeenAsync(session, table, context);
        await call(seen, new NotingWriter(replies, header => Note(session, table, header)));
    }

    private static Task<TReply> Begin<TReply>(Func<ulong, Task<TReply>> call, ulong seen)
    {
#if DEBUG
        if (DebugBugs.Current == DebugBug.SessionIgnored)
            seen = 0;
#endif
        try
        {
            return call(seen);
        }
        catch (Exception e)
        {
            return Task.FromException<TReply>(e);
        }
    }

    private async Task<TReply> WaitAndRunAsync<TReply>(
        CallSession session, ByteString table, Func<ulong, Task<TReply>> call, Func<TReply, ResponseHeader> header, ServerCallContext context)
    {
        ulong seen;
        try
        {
            seen = await SeenAsync(session, table, context);
        }
        catch
        {
            session.Dispose();
            throw;
        }

        return await EndAsync(session, table, Begin(call, seen), header);
    }

    private async Task<TReply> EndAsync<TReply>(CallSession session, ByteString table, Task<TReply> running, Func<TReply, ResponseHeader> header)
    {
        using CallSession ending = session;
        try
        {
            TReply reply = await running;
            Note(session, table, header(reply));
            return reply;
        }
        catch (WrittenException e)
        {
            Note(session, table, e.Header);
            throw;
        }
    }

    private SessionToken Token(ServerCallContext context)
    {
        StringValues values = context.GetHttpContext().Request.Headers[SessionToken.MetadataName];
        if (values.Count == 1 && _parsed.Find(values[0]) is { } known)
            return known;
        SessionToken token = SessionToken.Empty;
        foreach (string? value in values)
        {
            // Several of a name may have been made one on the way.
            foreach (Range part in value.AsSpan().Split(','))
            {
                if (!SessionToken.TryParse(value.AsSpan(part).Trim(), out SessionToken? one, out string? problem))
                    throw Rejection.Invalid($"{SessionToken.MetadataName} is not a session token: {problem}; send what the trailer of that name has brought, as it is").ToException();
                token = token.Merge(one);
            }
        }

        if (values.Count == 1)
            _parsed.Keep(values[0], token);
        return token;
    }

    /// <summary>As <see cref="SeenAsync"/>, without a wait; null: there is something to wait for, or to refuse.</summary>
    private ulong? SeenHere(CallSession session, ByteString name)
    {
        if (Find(name) is not { } table || session.Token.Find(history, name.Span) is not { } seen)
            return null;
        return table.Incarnation.Number == seen.Number && session.Token.HasRoomFor(history, name.Span) ? (ulong)seen.Revision : null;
    }

    /// <summary>The revision that the session has seen of the table, in the life that it has here.</summary>
    private async ValueTask<ulong> SeenAsync(CallSession session, ByteString name, ServerCallContext context)
    {
        if (!session.Token.HasRoomFor(history, name.Span))
        {
            throw Rejection.Precondition(
                $"the session has seen {session.Token.Count} tables, and its token has no room for more; begin another one, or use a session for each purpose").ToException();
        }

        if (session.Token.Find(history, name.Span) is { } seen)
        {
            ServedTable? table = await FindAsync(name, seen, context);
            if (table is null)
                return 0;
            return table.Incarnation.Number == seen.Number
                ? (ulong)seen.Revision
                : throw Refused(session, name, table, "the table that the session has seen was deleted, and another one made under its name");
        }

        if (session.Token.OtherHistory(history, name.Span) is { } other && Find(name) is { } here)
        {
            throw Refused(
                session, name, here, $"the session has seen the table in the history {other:N}, and here it has the history {history:N}: another leader site, or one that was made anew");
        }

        return 0;
    }

    /// <summary>The table of a name, once the one that was seen is known here; null: it was deleted, or cannot be served, and the call itself says so.</summary>
    private async ValueTask<ServedTable?> FindAsync(ByteString name, SeenTable seen, ServerCallContext context)
    {
        ServedTable? table = Find(name);
        if (table?.Incarnation.Number >= seen.Number || tables.Closed is not null)
            return table;
        using CallDeadline deadline = deadlines.Start(context);
        try
        {
            await reconciler.WaitAsync(seen.Number, deadline.Token);
            return Find(name);
        }
        catch (ObjectDisposedException)
        {
            throw Rejection.Stopping.ToException();
        }
        catch (OperationCanceledException) when (deadline.Token.IsCancellationRequested)
        {
            const string Missing = "the session has seen a newer table of that name than this node knows of";
            throw deadline.CallerIsGone
                ? deadline.Expired(Missing)
                : new RpcException(new Status(StatusCode.Unavailable, Missing + "; it did not come within the deadline"));
        }
    }

    private ServedTable? Find(ByteString name) => tables.Snapshot.TryGet(name.Span, out ServedTable? table) ? table : null;

    private RpcException Refused(CallSession session, ByteString name, ServedTable table, string why)
    {
        session.Token = session.Token.Instead(name.Span, new SeenTable(history, table.Incarnation.Number, 0));
        return Rejection.Precondition($"{why}; {GoOn}").ToException();
    }

    private void Note(CallSession session, ByteString name, ResponseHeader header)
    {
        // A table that is gone by now, under a leader site whose groups have other numbers, is left out: there is nothing to come back to.
        long? number = isUnderGo ? Find(name)?.Incarnation.Number : CatalogueKeys.RevisionOf((long)header.ShardId);
        if (number is { } life)
            session.Token = session.Token.With(name.Span, new SeenTable(history, life, (long)header.Revision));
    }

    /// <summary>The session of one call. Its token goes into the trailers when the call ends, however it ends.</summary>
    private sealed class CallSession(SessionToken token, ServerCallContext context) : IDisposable
    {
        public SessionToken Token { get; set; } = token;

        public void Dispose() => context.ResponseTrailers.Add(Token.Entry);
    }

    /// <summary>Hands on messages, and the header of the first one besides.</summary>
    private sealed class NotingWriter(IServerStreamWriter<RangeResponse> inner, Action<ResponseHeader> note) : IServerStreamWriter<RangeResponse>
    {
        private bool _isNoted;

        public WriteOptions? WriteOptions
        {
            get => inner.WriteOptions;
            set => inner.WriteOptions = value;
        }

        public Task WriteAsync(RangeResponse message) => WriteAsync(message, CancellationToken.None);

        public Task WriteAsync(RangeResponse message, CancellationToken cancellationToken)
        {
            if (!_isNoted)
                note(message.Header);
            _isNoted = true;
            return inner.WriteAsync(message, cancellationToken);
        }
    }
}
