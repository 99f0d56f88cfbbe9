namespace Regatta.Protocol.Sessions;

/// <summary>What was seen of a table: a life of it, and the greatest revision in that life.</summary>
/// <param name="History">The history id of the leader site.</param>
/// <param name="Number">The incarnation's number: of two in one history the greater one is the later life of the name.</param>
public readonly record struct SeenTable(Guid History, long Number, long Revision)
{
    /// <summary>The later one of two of the same history and name.</summary>
    internal static SeenTable Later(in SeenTable one, in SeenTable other) =>
        (one.Number, one.Revision).CompareTo((other.Number, other.Revision)) >= 0 ? one : other;
}
