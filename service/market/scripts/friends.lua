-- Who may see and use a pool.

local function are_friends(one, other)
    return redis.call('SISMEMBER', KEY_FRIENDS .. one, other) == 1
        and redis.call('SISMEMBER', KEY_FRIENDS .. other, one) == 1
end

local function is_for(user, audience, asker)
    return audience ~= 'friends' or user == asker or are_friends(user, asker)
end
