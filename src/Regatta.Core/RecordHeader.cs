namespace Regatta.Core;

/// <summary>What is stored beside a value.</summary>
/// <param name="CreateRevision">Revision that created the key (since it last did not exist).</param>
/// <param name="ModRevision">Revision of the last put to the key.</param>
/// <param name="Version">Number of puts since the key was created; 1 for the first.</param>
public readonly record struct RecordHeader(long CreateRevision, long ModRevision, long Version);

/// <summary>A key with its value as a reader gets it. <see cref="Value"/> is empty where only keys were asked for.</summary>
public sealed record KeyRecord(ReadOnlyMemory<byte> Key, RecordHeader Header, ReadOnlyMemory<byte> Value);
