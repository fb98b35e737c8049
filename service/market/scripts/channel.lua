-- A game's channel: one order of pushes for everybody, and the newest of them for who comes back.
-- Needs time.lua and journal.lua.

-- Sends a push; `rest` are its own fields as JSON, without braces. Answers its offset in the epoch.
-- What happens in a pool for friends is sent to nobody, and nil is the answer.
local function publish(kind, game, pool, rest)
    if redis.call('HGET', KEY_POOL .. pool, 'audience') == 'friends' then
        return nil
    end
    local position, history = KEY_POSITION .. game, KEY_HISTORY .. game
    if redis.call('HGET', position, 'epoch') ~= epoch then
        redis.call('HSET', position, 'epoch', epoch, 'offset', '0')
        redis.call('DEL', history)
    end
    local offset = integer(redis.call('HINCRBY', position, 'offset', 1))
    local push = '{"type":"' .. kind .. '","game":"' .. game .. '","pool":"' .. pool .. '","epoch":' .. epoch
        .. ',"offset":' .. offset .. ',"published_us":' .. published_us .. ',' .. rest .. '}'
    redis.call('RPUSH', history, push)
    redis.call('LTRIM', history, -HISTORY_LENGTH, -1)
    redis.call('PUBLISH', KEY_LIVE .. game, push)
    return offset
end

-- The totals of a pool as JSON's inner list.
local function totals_of(pool, options_count)
    local fields = {}
    for option = 1, tonumber(options_count) do
        fields[option] = 'total:' .. (option - 1)
    end
    return table.concat(redis.call('HMGET', KEY_POOL .. pool, unpack(fields)), ',')
end
