-- Takes no more predictions.
--
-- ARGV  who asks, game, pool
-- Answers {'done'}, {'duplicate'}, or {error code}.

local by, game, pool = unpack(ARGV)

local refusal = missing(game, pool)
if refusal then
    return refusal
end
if redis.call('HGET', KEY_POOL .. pool, 'status') ~= 'open' then
    return { 'duplicate' }
end
if journal_is_full(entries_to_close()) then
    return { JOURNAL_FULL }
end
close_pool(game, pool, by)
return { 'done' }
