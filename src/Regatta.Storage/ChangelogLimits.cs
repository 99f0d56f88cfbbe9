namespace Regatta.Storage;

/// <summary>
/// How much changelog to keep; whatever exceeds any of the limits goes. Null = not limited. What is cut is local to a node: far sites and watchers
/// that still need it find it elsewhere or start from a snapshot.
/// </summary>
/// <param name="Revisions">Newest revisions to keep; 1 or more. Exact.</param>
/// <param name="Bytes">Bytes of keys and records to keep; 0 or more. Up to one mark (<see cref="StorageOptions.ChangelogMarkBytes"/>) more may stay.</param>
/// <param name="Age">
/// Time to keep a revision after it was written here, by the wall clock. Up to the period between two calls of trimming, or one
/// minute if that is longer, more may stay.
/// </param>
public sealed record ChangelogLimits(long? Revisions, long? Bytes, TimeSpan? Age)
{
    public static ChangelogLimits Unlimited { get; } = new(null, null, null);

    internal void Validate()
    {
        if (Revisions is < 1) throw new ArgumentOutOfRangeException(nameof(Revisions), Revisions, "must be 1 or more");
        if (Bytes is < 0) throw new ArgumentOutOfRangeException(nameof(Bytes), Bytes, "must be 0 or more");
        if (Age is { } age && age < TimeSpan.Zero) throw new ArgumentOutOfRangeException(nameof(Age), age, "must not be negative");
    }
}
