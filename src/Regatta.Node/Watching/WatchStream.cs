using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Regatta.Core;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;
using Regatta.Replication;
using Regatta.Storage;
using WatchEvent = Regatta.Replication.WatchEvent;

namespace Regatta.Node;

/// <summary>
/// One client's stream of watches. One loop takes its requests, another one writes: from whichever watch has something next, a message at a time. What a client does not read stays where it is, in the changelog.
/// </summary>
internal sealed class WatchStream(Watches watches, ServedTables tables, Limits limits, IServerStreamWriter<WatchResponse> replies, TimeProvider time) : IDisposable
{
    // Answers to requests wait for the writer, and the requests behind them wait for those.
    private const int MostAnswers = 16;

    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Dictionary<long, OpenWatch> _open = [];
    private readonly SemaphoreSlim _answers = new(MostAnswers);

    // Each watch is in it once at most, and answers are bounded.
    private readonly Channel<Work> _work = Channel.CreateUnbounded<Work>(new UnboundedChannelOptions { SingleReader = true });

    public async Task RunAsync(IAsyncStreamReader<WatchRequest> requests, CancellationToken cancellationToken)
    {
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using ITimer progress = time.CreateTimer(_ => AskForProgress(), null, ProgressInterval, ProgressInterval);
        Task reading = ReadAsync(requests, ending.Token);
        try
        {
            await WriteAsync(reading, ending.Token);
        }
        finally
        {
            await ending.CancelAsync();
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            CloseAll();
        }
    }

    /// <summary>After <see cref="RunAsync"/>.</summary>
    public void Dispose() => _answers.Dispose();

    /// <summary>A client that has said all goes on to watch.</summary>
    private async Task ReadAsync(IAsyncStreamReader<WatchRequest> requests, CancellationToken cancellationToken)
    {
        while (await HasNextAsync(requests, cancellationToken))
        {
            WatchRequest request = requests.Current;
            switch (request.RequestCase)
            {
                case WatchRequest.RequestOneofCase.Create:
                    await CreateAsync(request.Create, cancellationToken);
                    break;
                case WatchRequest.RequestOneofCase.Cancel:
                    await CancelAsync(request.Cancel, cancellationToken);
                    break;
                case WatchRequest.RequestOneofCase.Progress:
                    if (Find(request.Progress) is { } asked)
                        asked.Watch.AskForProgress();
                    else
                        await AnswerAsync(Ended(request.Progress, Unknown(request.Progress)), cancellationToken);
                    break;
                default:
                    throw WatchAdmission.NoRequest.ToException();
            }
        }
    }

    private static async Task<bool> HasNextAsync(IAsyncStreamReader<WatchRequest> requests, CancellationToken cancellationToken)
    {
        try
        {
            return await requests.MoveNext(cancellationToken);
        }
        catch (IOException)
        {
            // The stream was reset, which the call's token may tell only later.
            throw new RpcException(new Status(StatusCode.Cancelled, "the client has left the stream"));
        }
    }

    private async Task CreateAsync(CreateWatch request, CancellationToken cancellationToken)
    {
        if (TryOpen(request, out OpenWatch? watch) is { } refusal)
        {
            await AnswerAsync(Ended(request.WatchId, refusal), cancellationToken);
            return;
        }

        await AnswerAsync(
            new WatchResponse
            {
                Header = watch!.Table.Header(watch.Start - 1),
                WatchId = request.WatchId,
                Created = true,
                HistoryId = ByteString.CopyFrom(watch.Table.Incarnation.History.ToByteArray(bigEndian: true)),
                Incarnation = (ulong)watch.Table.Incarnation.Number,
                ChainHash = watch.Before,
            },
            cancellationToken);
        watch.Watch.Start();
    }

    private Rejection? TryOpen(CreateWatch request, out OpenWatch? watch)
    {
        watch = null;
        if (WatchAdmission.Check(request, limits) is { } wrong)
            return wrong;
        if (Find(request.WatchId) is not null)
            return new Rejection(StatusCode.AlreadyExists, $"watch {request.WatchId} is open on this stream; choose another id, or cancel that one first");
        ServedTable table;
        try
        {
            table = tables.Get(request.Table);
        }
        catch (RpcException e)
        {
            return new Rejection(e.StatusCode, e.Status.Detail);
        }

        if (WatchAdmission.CheckLife(request, table) is { } otherLife)
            return otherLife;
        if (watches.Take() is { } full)
            return full;
        WatchedKeys keys = new(KeyRange.FromWire(request.Key.Memory, request.RangeEnd.Memory), request.PrevKv);
        long first = request.StartRevision > 0 ? (long)request.StartRevision : table.Group.Reader.Revision + 1;
        ByteString before = request.ChainHash.IsEmpty ? HashAt(table, first - 1) : request.ChainHash;
        WatchStart start = new(first, (long)request.SkipEvents, before.IsEmpty ? null : new ChainHash(Replies.HashOf(before)));
        watch = OpenWatch.Open(request, table, watches.Of(table), keys, start, ready => _work.Writer.TryWrite(new Work(ready, null)));
        lock (_gate)
            _open.Add(request.WatchId, watch);
        return null;
    }

    /// <summary>The chain hash at a revision, if that is here.</summary>
    private static ByteString HashAt(ServedTable table, long revision)
    {
        try
        {
            ITableReader reader = table.Group.Reader;
            return revision > 0 && revision <= reader.Revision && reader.ReadChain(revision) is { Found: true, Chain: var chain } ? Hash(chain) : ByteString.Empty;
        }
        catch (Exception e) when (e is ObjectDisposedException or ArgumentOutOfRangeException or StorageException or InvalidDataException)
        {
            // The state was just replaced, or cannot be read, which the watch itself will tell.
            return ByteString.Empty;
        }
    }

    private async Task CancelAsync(long id, CancellationToken cancellationToken)
    {
        Rejection why = Close(id) ? new Rejection(StatusCode.Cancelled, "the client has cancelled the watch") : Unknown(id);
        await AnswerAsync(Ended(id, why), cancellationToken);
    }

    private async Task AnswerAsync(WatchResponse answer, CancellationToken cancellationToken)
    {
        await _answers.WaitAsync(cancellationToken);
        _work.Writer.TryWrite(new Work(null, answer));
    }

    /// <summary>Writes until it is cancelled, or the requests end with an error.</summary>
    private async Task WriteAsync(Task reading, CancellationToken cancellationToken)
    {
        _ = reading.ContinueWith(
            task => _work.Writer.TryComplete(task.Exception?.InnerException), CancellationToken.None, TaskContinuationOptions.NotOnRanToCompletion, TaskScheduler.Default);
        await foreach (Work work in _work.Reader.ReadAllAsync(cancellationToken))
        {
            if (work.Answer is { } answer)
            {
                await replies.WriteAsync(answer, cancellationToken);
                _answers.Release();
            }
            else if (work.Watch is { } watch && IsOpen(watch) && watch.Watch.Next() is { } item)
            {
                await replies.WriteAsync(Message(watch, item), cancellationToken);
            }
        }

        // Only the reader's end has ended the loop.
        await reading;
    }

    private WatchResponse Message(OpenWatch watch, WatchItem item)
    {
        switch (item)
        {
            case WatchItem.Events events:
                WatchResponse message = new()
                {
                    WatchId = watch.Id,
                    Header = watch.Table.Header(events.Revision),
                    More = !events.IsComplete,
                    ChainHash = Hash(events.Chain),
                };
                message.Events.AddRange(events.Items.Select(Event));
                return message;
            case WatchItem.Progress progress:
                return new WatchResponse { WatchId = watch.Id, Header = watch.Table.Header(progress.Revision), ChainHash = Hash(progress.Chain) };
            case WatchItem.Ended { End: var end }:
                Close(watch.Id);
                return Ended(watch, end);
            default:
                throw new InvalidOperationException($"{item.GetType().Name} is no message");
        }
    }

    private static ByteString Hash(ChainHash? chain) => chain is { } known ? Replies.Hash(known.Value) : ByteString.Empty;

    private static Protocol.V1.WatchEvent Event(WatchEvent change) => new()
    {
        Type = change.IsDelete ? Protocol.V1.WatchEvent.Types.Type.Delete : Protocol.V1.WatchEvent.Types.Type.Put,
        Kv = new KeyValue
        {
            Key = Replies.Bytes(change.Key),
            Value = Replies.Bytes(change.Value),
            CreateRevision = change.CreateRevision,
            ModRevision = change.Revision,
            Version = change.Version,
        },
        PrevKv = change.Previous is { } previous ? Replies.Pair(previous) : null,
    };

    private WatchResponse Ended(OpenWatch watch, Replication.WatchEnd end)
    {
        Rejection why = end switch
        {
            Replication.WatchEnd.Compacted compacted => new Rejection(
                StatusCode.OutOfRange, $"the changes up to revision {compacted.Oldest - 1} are not kept any more; read the table, and watch from the revision after the one that was read"),
            Replication.WatchEnd.OtherHistory => WatchAdmission.OtherHistory,
            Replication.WatchEnd.Failed failed => new Rejection(StatusCode.DataLoss, failed.Cause.Message),
            _ when Find(watch) => new Rejection(StatusCode.Unavailable, "the table's state on this node was replaced by a newer one; make the watch again from where it was"),
            _ => Sentences.TableNotFound,
        };
        WatchResponse message = Ended(watch.Id, why);
        if (end is Replication.WatchEnd.Compacted { Oldest: var oldest })
            message.End.OldestRevision = (ulong)oldest;
        return message;
    }

    /// <summary>The watch's table is still there.</summary>
    private bool Find(OpenWatch watch) => tables.Snapshot.Find(watch.Table.Name) is { } now && now.Incarnation == watch.Table.Incarnation;

    private static WatchResponse Ended(long id, Rejection why) => new() { WatchId = id, End = new Protocol.V1.WatchEnd { Code = (int)why.Code, Reason = why.Sentence } };

    private static Rejection Unknown(long id) => Rejection.NotFound($"no watch {id} is open on this stream");

    private OpenWatch? Find(long id)
    {
        lock (_gate)
            return _open.GetValueOrDefault(id);
    }

    private bool IsOpen(OpenWatch watch) => Find(watch.Id) == watch;

    private bool Close(long id)
    {
        OpenWatch? watch;
        lock (_gate)
        {
            if (!_open.Remove(id, out watch))
                return false;
        }

        watch.Watch.Close();
        watches.Leave();
        return true;
    }

    private void CloseAll()
    {
        long[] ids;
        lock (_gate)
            ids = [.. _open.Keys];
        foreach (long id in ids)
            Close(id);
    }

    private void AskForProgress()
    {
        OpenWatch[] all;
        lock (_gate)
            all = [.. _open.Values.Where(static watch => watch.WantsProgress)];
        foreach (OpenWatch watch in all)
            watch.Watch.AskForProgress();
    }

    /// <summary>What the writer does next: either a watch has something, or a request is answered.</summary>
    private readonly record struct Work(OpenWatch? Watch, WatchResponse? Answer);

    private sealed class OpenWatch
    {
        private OpenWatch(CreateWatch request, ServedTable table, WatchStart start)
        {
            Id = request.WatchId;
            WantsProgress = request.Progress;
            Table = table;
            Start = start.Revision;
            Before = Hash(start.Chain);
        }

        public long Id { get; }

        public bool WantsProgress { get; }

        public ServedTable Table { get; }

        public long Start { get; }

        /// <summary>The chain hash at the revision before the start; empty: it is not known.</summary>
        public ByteString Before { get; }

        public Watch Watch { get; private set; } = null!;

        public static OpenWatch Open(CreateWatch request, ServedTable table, TableWatches watches, WatchedKeys keys, WatchStart start, Action<OpenWatch> isReady)
        {
            OpenWatch open = new(request, table, start);
            open.Watch = watches.Watch(keys, start, _ => isReady(open));
            return open;
        }
    }
}
